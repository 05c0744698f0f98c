"""An error is one sentence, a remedy, and an exit code that means nothing else."""

import subprocess
import sys

import pytest
from cli_scene import READING, ade
from operators import Operator

from simulator import faults
from simulator.host import ROOT


def error(done):
    """Return the one sentence and the remedy; neither is a traceback."""
    assert done.returncode == 3
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    sentence, remedy = done.stderr.rstrip("\n").split("\n")
    assert sentence.endswith(".")
    assert remedy.endswith(".")
    return sentence, remedy


@pytest.mark.parametrize("arguments", READING)
@pytest.mark.sampled(1)
def test_the_remedy_names_the_option_when_the_address_of_the_tables_is_missing(scene, tmp_path, arguments):
    sentence, remedy = error(scene.cli(*arguments, cwd=tmp_path, TABLES_ENDPOINT=None))
    assert sentence.startswith("TABLES_ENDPOINT is not known")
    assert "--tables-endpoint" in remedy


def test_the_address_comes_from_an_option_or_from_azd(scene, tmp_path):
    scene.check(ade("Contoso HQ"))
    address = scene.sim.tables.endpoint
    assert scene.run("status", "--tables-endpoint", address, cwd=tmp_path, TABLES_ENDPOINT=None).returncode == 0
    (tmp_path / ".azure" / "contoso").mkdir(parents=True)
    (tmp_path / "azure.yaml").touch()
    (tmp_path / ".azure" / "contoso" / ".env").write_text(f'TABLES_ENDPOINT="{address}"\n', "utf-8")
    assert scene.run("status", "--env", "contoso", cwd=tmp_path, TABLES_ENDPOINT=None).returncode == 0
    _, remedy = error(scene.run("status", "--env", "fabrikam", cwd=tmp_path, TABLES_ENDPOINT=None))
    assert "azd env list" in remedy


@pytest.mark.parametrize("arguments", READING)
@pytest.mark.sampled(1)
def test_the_remedy_is_to_sign_in_when_no_sign_in_works(scene, arguments):
    sentence, remedy = error(scene.run(*arguments, AZURE_TOKEN_CREDENTIALS="AzureCliCredential", PATH=""))
    assert sentence.startswith("There is no sign-in to Azure that works here (Azure CLI not found")
    assert "az login" in remedy
    sentence, _ = error(scene.run(*arguments, AZURE_TOKEN_CREDENTIALS="Nobody"))
    assert sentence.startswith("AZURE_TOKEN_CREDENTIALS cannot be used")


@pytest.mark.parametrize(
    ("code", "name", "sentence", "remedy"),
    [
        (403, "AuthorizationPermissionMismatch", "you may not read it", "Storage Table Data Reader"),
        (403, "AuthorizationFailure", "its network rules keep this machine out", "network"),
        (401, "InvalidAuthenticationInfo", "it does not take this sign-in", "az login --tenant"),
        (404, "TableNotFound", "The table TokenStatus is missing", "azd provision"),
        (404, "ResourceNotFound", "HTTP 404 ResourceNotFound", "the variable TABLES_ENDPOINT says"),
        (409, "Odd", "HTTP 409 Odd", "Try again"),
    ],
)
def test_a_refusal_of_azure_has_a_remedy(scene, code, name, sentence, remedy):
    scene.sim.proxy.fail("TokenStatus", faults.table_status(code, name))
    shown = error(scene.run("status", TABLES_ENDPOINT=scene.sim.env(proxied=True)["TABLES_ENDPOINT"]))
    assert sentence in shown[0]
    assert remedy in shown[1]


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://management.azure.com#@evil.example",
        "http://management.azure.com",
        "https://somebody:secret@management.azure.com",
        "https://management.azure.com/x",
    ],
)
def test_an_address_of_resource_manager_that_is_not_a_plain_https_host_is_refused(simulator, endpoint):
    simulator.reset()
    done = Operator(simulator).run("trigger", "check", ARM_ENDPOINT=endpoint)
    assert (done.returncode, done.stdout) == (3, "")
    assert "ARM_ENDPOINT cannot be used" in done.stderr
    assert simulator.arm.requests == []


MEASURED = """\
import sys
from cli.app import main
import cli.__main__
code = main(sys.argv[1:])
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")), file=sys.stderr)
sys.exit(code)
"""
"""A command that says at its end how much memory it took at most."""
WITHOUT_END = {
    "a GiB, compressed": faults.zipped(1024),
    "many values": faults.zipped(15, b"{},", b'{"value":['),
    "no end": faults.endless(),
}
COMMANDS = {
    "Table Storage": ("proxy", "TokenStatus", ("status",)),
    "Resource Manager": ("arm", "", ("trigger", "check")),
    "the sign-in": ("authority", "", ("check", "--device-code")),
    "Graph": ("graph", "", ("device", "C02XK1ABJGH5", "--device-code")),
    "Logs Ingestion": ("ingestion", "", ("test-alert", "--now")),
}


@pytest.mark.parametrize(("server", "where", "arguments"), COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("answer", WITHOUT_END.values(), ids=WITHOUT_END)
@pytest.mark.sampled(1)
def test_an_answer_without_end_ends_a_command_and_takes_no_memory(simulator, server, where, arguments, answer):
    simulator.reset()
    getattr(simulator, server).fail(where, answer)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments],
        cwd=ROOT,
        env=Operator(simulator).environment(
            PYTHONPATH=str(ROOT), TABLES_ENDPOINT=simulator.env(proxied=True)["TABLES_ENDPOINT"]
        ),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 3, done
    assert "and was not read to its end" in " ".join(done.stderr.split()), done
    assert int(done.stderr.split()[-2]) < 300 * 1024, done


def test_an_answer_that_trickles_ends_a_command(scene, monkeypatch):
    monkeypatch.setattr("shared.http.answers.SECONDS", 1.0)
    scene.sim.proxy.fail("TokenStatus", faults.trickle())
    sentence, _ = error(scene.run("status", TABLES_ENDPOINT=scene.sim.env(proxied=True)["TABLES_ENDPOINT"]))
    assert "the answer takes longer than 1 seconds" in sentence


@pytest.mark.exhaustive
def test_an_address_without_a_service_is_named(scene):
    sentence, remedy = error(scene.run("status", "--quiet", TABLES_ENDPOINT="https://127.0.0.1:9/account"))
    assert sentence.startswith("127.0.0.1:9/account cannot be reached")
    assert "the variable TABLES_ENDPOINT says https://127.0.0.1:9/account" in remedy


def test_a_fault_of_the_program_has_exit_code_3_and_a_traceback_with_debug(scene, monkeypatch):
    scene.check(ade("Contoso HQ"))
    monkeypatch.setattr("cli.view.print_statuses", lambda *_: 1 / 0)
    sentence, remedy = error(scene.run("status"))
    assert sentence == "This is a fault of the program: ZeroDivisionError: division by zero."
    assert "--debug" in remedy
    assert "Traceback" in scene.run("status", "--debug").stderr


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("status", "--conector", "ade"), "See python -m cli status --help"),
        (("runs", "--days", "0"), "See python -m cli runs --help"),
        (("history",), "See python -m cli history --help"),
        (("nope",), "See python -m cli --help"),
    ],
)
@pytest.mark.sampled(2)
def test_a_usage_error_is_one_sentence_and_a_hint(scene, arguments, hint):
    done = scene.cli(*arguments)
    assert (done.returncode, done.stdout) == (3, "")
    assert len(done.stderr.splitlines()) == 2
    assert done.stderr.splitlines()[-1] == hint


def test_a_missing_package_is_named_with_its_remedy(scene, tmp_path):
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError('No module named typer', name='typer')")
    done = subprocess.run(
        [sys.executable, "-m", "cli", "status"],
        cwd=ROOT,
        env={**scene.environment(), "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    sentence, remedy = error(done)
    assert sentence == "The package typer is not installed."
    assert "make setup" in remedy


@pytest.mark.parametrize(
    ("server", "arguments"),
    [("proxy", ("status",)), ("ingestion", ("test-alert", "--now")), ("arm", ("trigger", "check"))],
)
@pytest.mark.parametrize("code", [307, 302, 308])
@pytest.mark.sampled(3)
def test_no_client_follows_a_redirect(simulator, server, arguments, code):
    simulator.reset()
    operator, met = Operator(simulator), []
    operator.sim.authority.on_request = met.append
    getattr(operator.sim, server).fail("", faults.redirect(f"{operator.sim.authority.url}/elsewhere", code))
    way = operator.sim.operator_env(proxied=True)["TABLES_ENDPOINT"]
    assert operator.run(*arguments, TABLES_ENDPOINT=way).returncode == 3
    assert getattr(operator.sim, server).requests
    assert [request.path for request in met] == []
