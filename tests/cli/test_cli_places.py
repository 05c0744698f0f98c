"""Where the commands find their settings, and the remedy when one is missing."""

import pytest

from cli import CommandError
from cli.places import ABOUT, Places
from cli.session import Session
from shared.settings import SETTINGS

URL = "https://contoso.table.core.windows.net"


def project(folder, **environments):
    """An azd project with environments of those names; the first is the default."""
    (folder / "azure.yaml").touch()
    (folder / ".azure").mkdir()
    for number, (name, text) in enumerate(environments.items()):
        (folder / ".azure" / name).mkdir()
        (folder / ".azure" / name / ".env").write_text(text, "utf-8")
        if number == 0:
            (folder / ".azure" / "config.json").write_text(f'{{"version":1,"defaultEnvironment":"{name}"}}', "utf-8")
    return folder


def test_an_option_wins_over_a_variable_and_a_variable_over_azd(tmp_path):
    folder = project(tmp_path, contoso=f'TABLES_ENDPOINT="{URL}/azd"\nTENANT_ID="azd"\nAZURE_CLOUD="AzureCloud"\n')
    places = Places.find(
        {"TABLES_ENDPOINT": f"{URL}/option"}, {"TABLES_ENDPOINT": f"{URL}/variable", "TENANT_ID": "variable"}, folder
    )
    found = {place.name: (place.value, place.source) for place in places}
    assert found == {
        "TABLES_ENDPOINT": (f"{URL}/option", "the option --tables-endpoint"),
        "TENANT_ID": ("variable", "the variable TENANT_ID"),
        "AZURE_CLOUD": ("AzureCloud", "azd's environment contoso"),
    }


def test_an_empty_value_is_an_absent_one(tmp_path):
    folder = project(tmp_path, contoso=f'TABLES_ENDPOINT="{URL}"')
    places = Places.find({"TABLES_ENDPOINT": ""}, {"TABLES_ENDPOINT": "  "}, folder)
    assert places.get("TABLES_ENDPOINT").source == "azd's environment contoso"


@pytest.mark.parametrize(
    ("environ", "named", "value"),
    [({}, None, "1"), ({"AZURE_ENV_NAME": "two"}, None, "2"), ({"AZURE_ENV_NAME": "one"}, "two", "2")],
)
def test_the_environment_of_azd_is_the_named_one_or_its_default(tmp_path, environ, named, value):
    folder = project(tmp_path, one='RESOURCE_GROUP="1"', two='RESOURCE_GROUP="2"')
    assert Places.find({}, environ, folder, environment=named).value("RESOURCE_GROUP") == value


def test_azd_s_project_is_a_folder_above_with_azure_yaml(tmp_path):
    folder = project(tmp_path, one='RESOURCE_GROUP="1"') / "a" / "b"
    folder.mkdir(parents=True)
    assert Places.find({}, {}, folder).value("RESOURCE_GROUP") == "1"
    (tmp_path / "azure.yaml").unlink()  # ~/.azure belongs to the Azure CLI
    places = Places.find({}, {}, folder)
    assert places.value("RESOURCE_GROUP") is None
    assert "azure.yaml" in places.azd


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('RESOURCE_GROUP="a b"', "a b"),
        ("RESOURCE_GROUP=plain", "plain"),
        ("  export RESOURCE_GROUP = 'single \\n' ", "single \\n"),
        (r'RESOURCE_GROUP="say \"hi\" \\ \$x\!\`\\\!"', r'say "hi" \ $x!`\!'),
        ('RESOURCE_GROUP="a=b#c"', "a=b#c"),
        ('# RESOURCE_GROUP="no"', None),
        ("RESOURCE_GROUP", None),
        ('\ufeffRESOURCE_GROUP="bom"', "bom"),
    ],
)
def test_a_line_of_azd_s_file_is_read(tmp_path, line, value):
    assert Places.find({}, {}, project(tmp_path, one=f"{line}\n= nonsense\n")).value("RESOURCE_GROUP") == value


def test_a_missing_environment_and_an_unreadable_file_of_azd_are_named(tmp_path):
    folder = project(tmp_path, one='RESOURCE_GROUP="1"')
    for name in ("three", "../one", "a/b"):
        with pytest.raises(CommandError, match=r"There is no environment .* azd has no environment .*azd env list"):
            Places.find({}, {}, folder, environment=name)
    (folder / ".azure" / "config.json").write_text("{", "utf-8")
    with pytest.raises(CommandError, match="What azd keeps of the project cannot be read"):
        Places.find({}, {}, folder)


def test_a_missing_setting_is_reported_with_the_three_ways_to_name_it(tmp_path):
    with pytest.raises(CommandError) as raised:
        Places.find({}, {}, tmp_path).required("TABLES_ENDPOINT")
    for told in ("--tables-endpoint", "the variable TABLES_ENDPOINT", "azd project", "such as https://"):
        assert told in str(raised.value)


@pytest.mark.parametrize("value", ["http://contoso.table.core.windows.net", "contoso", "https://a b"])
def test_an_address_that_the_app_would_not_take_is_refused_with_its_source(tmp_path, value):
    places = Places.find({}, {"TABLES_ENDPOINT": value}, tmp_path)
    with pytest.raises(CommandError, match="the variable TABLES_ENDPOINT says") as raised:
        places.required("TABLES_ENDPOINT")
    assert "Expected: an address such as https://" in raised.value.remedy


def test_the_commands_know_every_setting_that_the_app_requires():
    assert {setting.name for setting in SETTINGS if setting.required} <= ABOUT.keys()


AZURE_HOSTS = {
    "TABLES_ENDPOINT": "contoso.table.core.windows.net",
    "LOGS_INGESTION_ENDPOINT": "dcr-x.westeurope-1.ingest.monitor.azure.com",
    "GRAPH_ENDPOINT": "graph.microsoft.com",
    "ARM_ENDPOINT": "management.azure.com",
}


@pytest.mark.parametrize("name", AZURE_HOSTS)
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "{}.evil.example",
        "{}@evil.example",
        "evil.example#{}",
        "evil.example\\.{}",
        "{}.",
        "{}%00.evil.example",
        "{}\u3002evil.example",
        "{}evil.example",
        "localhost.evil.example",
        "127.0.0.1@evil.example",
        "2130706433",
        "[::ffff:192.0.2.1]",
        "not\uff47raph.microsoft.com",
        "notgraph.microsoft.com",
        "table.core.windows.net",
    ],
)
def test_a_file_of_the_folder_sends_the_sign_in_to_no_host_outside_the_cloud(tmp_path, name, host):
    host = host.format(AZURE_HOSTS[name])
    folder = project(tmp_path, one=f"{name}='https://{host}'")
    with pytest.raises(CommandError, match=f"{name} is not used: azd's environment one names"):
        Places.find({}, {}, folder)
    places = Places.find({}, {name: f"https://{host}"}, folder)
    assert [place.source for place in places.elsewhere] == [f"the variable {name}"]


@pytest.mark.parametrize("cloud", [None, "AzureCloud"])
@pytest.mark.parametrize(
    "host",
    [
        *AZURE_HOSTS.items(),
        ("TABLES_ENDPOINT", "127.0.0.1:10002/x"),
        ("TABLES_ENDPOINT", "[::1]:10002"),
        ("TABLES_ENDPOINT", "CONTOSO.TABLE.CORE.WINDOWS.NET"),
        ("GRAPH_ENDPOINT", "localhost:1"),
        ("ARM_ENDPOINT", "Management.Azure.com:443"),
        ("TABLES_ENDPOINT", "x.z01.table.storage.azure.net"),
    ],
)
def test_a_file_of_the_folder_may_name_the_hosts_of_the_cloud_and_this_machine(tmp_path, cloud, host):
    text = f"{host[0]}='https://{host[1]}'\n" + (f"AZURE_CLOUD={cloud}\n" if cloud else "")
    places = Places.find({}, {}, project(tmp_path, one=text))
    assert (places.value(host[0]), places.elsewhere) == (f"https://{host[1]}", [])


def test_each_cloud_has_hosts_of_its_own(tmp_path):
    text = "AZURE_CLOUD=AzureUSGovernment\nTABLES_ENDPOINT=https://contoso.table.core.{}\n"
    assert Places.find({}, {}, project(tmp_path, one=text.format("usgovcloudapi.net"))).elsewhere == []
    (tmp_path / ".azure" / "one" / ".env").write_text(text.format("windows.net"), "utf-8")
    with pytest.raises(CommandError, match="TABLES_ENDPOINT is not used"):
        Places.find({}, {}, tmp_path)


def test_a_notice_names_a_host_outside_the_cloud_that_an_option_names(capsys):
    session = Session(given={"TABLES_ENDPOINT": "https://tables.contoso.example"})
    assert session.places.value("TABLES_ENDPOINT") == "https://tables.contoso.example"
    assert (
        "Your sign-in is sent to https://tables.contoso.example, as the option --tables-endpoint says."
        in capsys.readouterr().err
    )
