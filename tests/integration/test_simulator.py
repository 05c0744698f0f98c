"""The simulator, proved with the real SDKs: what it accepts, what it refuses, and that nothing of it is left behind."""

import asyncio
import gzip
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import msgspec
import psutil
import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ServiceRequestError
from azure.data.tables import TableTransactionError, UpdateMode
from azure.data.tables.aio import TableServiceClient
from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential
from azure.monitor.ingestion.aio import LogsIngestionClient
from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from msgraph.graph_request_adapter import GraphRequestAdapter
from msgraph_core import GraphClientFactory
from support import held

from shared.publishing.rows import FINDINGS, RUNS
from simulator import bearer, faults
from simulator.azurite import SimulatorError
from simulator.graph import ADE, APNS, VPP
from simulator.host import run_worker, worker
from simulator.ingestion import LARGEST_CALL, NULLABLE, RULE_ID
from simulator.scenario import events, scenario
from simulator.stack import Simulator, applied
from simulator.tenant import APNS_SECRET, VPP_SECRET, Tenant, default_tenant, healthy_tenant, many

GRAPH_SCOPE = "https://graph.microsoft.com/.default"
NOW = datetime(2026, 11, 23, 5, 7, tzinfo=UTC)


@pytest.fixture(scope="module")
def running():
    with Simulator() as simulator, applied(simulator.env()):
        yield simulator


@pytest.fixture
def sim(running):
    running.reset()
    return running


@pytest.fixture
async def credential(sim):  # noqa: ARG001
    async with DefaultAzureCredential(managed_identity_client_id=bearer.CLIENT_ID) as signed_in:
        yield signed_in


# Identity


async def test_managed_identity_gets_a_token_with_the_configured_roles(sim):
    sim.identity.roles = ["One.Read.All"]
    async with ManagedIdentityCredential(client_id=bearer.CLIENT_ID) as own:
        token = await own.get_token(GRAPH_SCOPE)
    claims = bearer.read(token.token)
    assert claims["aud"] == "https://graph.microsoft.com"
    assert claims["roles"] == ["One.Read.All"]
    assert token.expires_on == claims["exp"]
    assert sim.identity.requests[0].query["client_id"] == bearer.CLIENT_ID


@pytest.mark.parametrize(
    ("query", "header", "status"),
    [
        ({}, "wrong", 403),
        ({"resource": "https://elsewhere.example"}, None, 400),
        ({"client_id": "somebody else"}, None, 400),
        ({"api-version": "2017-09-01"}, None, 400),
    ],
)
async def test_identity_refuses(sim, query, header, status):
    params = {"api-version": "2019-08-01", "resource": bearer.GRAPH, **query}
    headers = {"X-IDENTITY-HEADER": header or sim.identity.header}
    async with httpx.AsyncClient() as client:
        answer = await client.get(sim.identity.endpoint, params=params, headers=headers)
    assert answer.status_code == status


# Graph


@pytest.fixture
async def graph(sim, credential):
    provider = AzureIdentityAuthenticationProvider(credential, scopes=[GRAPH_SCOPE], allowed_hosts=["127.0.0.1"])
    client = GraphClientFactory.create_with_default_middleware()
    adapter = GraphRequestAdapter(provider, client)
    adapter.base_url = sim.graph.url

    async def get(path):
        request = RequestInformation(Method.GET)
        request.url = path if path.startswith("http") else f"{sim.graph.url}{path}"
        return msgspec.json.decode(await adapter.send_primitive_async(request, "bytes", {}))

    yield get
    await client._transport.transport.aclose()  # the SDK's own transport does not close the one below it


async def test_the_sdk_pages_to_the_end(sim, graph):
    sim.graph.tenant = many(250, NOW)
    page = await graph(f"{ADE}?$select=id,tokenName")
    pages = [page]
    while link := page.get("@odata.nextLink"):
        page = await graph(link)
        pages.append(page)
    items = [item for page in pages for item in page["value"]]
    assert [len(page["value"]) for page in pages] == [100, 100, 50]
    assert [item["id"] for item in items] == [item["id"] for item in sim.graph.tenant.ade]
    assert items[0].keys() == {"@odata.type", "id", "tokenName"}
    assert len((await graph(f"{ADE}?$top=7"))["value"]) == 7


async def test_secrets_are_served_unless_select_leaves_them_out(graph):
    assert (await graph(VPP))["value"][0]["token"].startswith(VPP_SECRET)
    assert (await graph(APNS))["certificate"].startswith(APNS_SECRET)
    assert "token" not in (await graph(f"{VPP}?$select=id,displayName"))["value"][0]
    assert "certificate" not in await graph(f"{APNS}?$select=id,topicIdentifier")


async def test_the_push_certificate_has_another_id_at_each_reading(graph):
    first, second = await graph(APNS), await graph(APNS)
    assert first["id"] != second["id"]
    assert first["topicIdentifier"] == second["topicIdentifier"]


async def fetch(sim, path, **headers):
    token, _ = bearer.issue(bearer.GRAPH, roles=[bearer.SERVICE_ROLE])
    async with httpx.AsyncClient(verify=sim.tls.client(), trust_env=False, timeout=1) as client:
        return await client.get(f"{sim.graph.url}{path}", headers={"Authorization": f"Bearer {token}", **headers})


async def test_graph_errors_have_graphs_shape(sim):
    sim.graph.tenant = Tenant()
    answer = await fetch(sim, APNS)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (404, "ResourceNotFound")
    assert error["innerError"]["request-id"] == answer.headers["request-id"]
    assert (await fetch(sim, ADE.replace("beta", "v1.0"))).json()["error"]["code"] == "BadRequest"


@pytest.mark.parametrize(
    ("resource", "roles", "status"),
    [(bearer.GRAPH, [], 403), (bearer.STORAGE, [bearer.SERVICE_ROLE], 401), (bearer.GRAPH, [bearer.SERVICE_ROLE], 200)],
)
async def test_graph_checks_audience_and_role(sim, resource, roles, status):
    token, _ = bearer.issue(resource, roles=roles)
    assert (await fetch(sim, ADE, Authorization=f"Bearer {token}")).status_code == status


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (faults.status(429, retry_after=170), lambda a: (a.status_code, a.headers["Retry-After"]) == (429, "170")),
        (faults.status(503, retry_after=NOW), lambda a: a.headers["Retry-After"] == "Mon, 23 Nov 2026 05:07:00 GMT"),
        (faults.status(500), lambda a: a.json()["error"]["code"] == "InternalServerError"),
        (faults.claims_challenge(), lambda a: "claims=" in a.headers["WWW-Authenticate"]),
        (faults.missing_role(), lambda a: bearer.SERVICE_ROLE in a.json()["error"]["message"]),
        (faults.html(200), lambda a: a.headers["Content-Type"].startswith("text/html")),
        (faults.empty(204), lambda a: (a.status_code, a.content) == (204, b"")),
        (faults.empty(503), lambda a: (a.status_code, a.content) == (503, b"")),
        (faults.broken_json(), lambda a: a.content.startswith(b'{"value"')),
        (faults.redirect("https://elsewhere.example/"), lambda a: a.headers["Location"].startswith("https://else")),
        (faults.next_link("https://elsewhere.example/"), lambda a: "elsewhere" in a.json()["@odata.nextLink"]),
        (faults.next_link_loop(), lambda a: a.json()["@odata.nextLink"] == str(a.request.url)),
        (faults.next_link_elsewhere(scheme="https"), lambda a: a.json()["@odata.nextLink"].startswith("https:")),
        (faults.value_missing(), lambda a: "value" not in a.json()),
        (faults.value_is("none"), lambda a: a.json()["value"] == "none"),
        (faults.item_is(7), lambda a: a.json()["value"][0] == 7),
        (faults.item_without_id(), lambda a: "id" not in a.json()["value"][0]),
        (faults.repeated_item({"id": "twice"}), lambda a: a.json()["value"][-1] == {"id": "twice"}),
        (faults.delay(0.01), lambda a: a.status_code == 200),
    ],
)
async def test_faults_that_answer(sim, fault, expected):
    sim.graph.page_size = 5
    sim.graph.fail("depOnboardingSettings", fault, times=1)
    assert expected(await fetch(sim, ADE))
    healthy = await fetch(sim, ADE)
    assert (healthy.status_code, len(healthy.json()["value"])) == (200, 5)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.dropped(), httpx.RemoteProtocolError),
        (faults.cut_off(), httpx.RemoteProtocolError),
        (faults.delay(2), httpx.ReadTimeout),
    ],
)
async def test_faults_that_break_the_connection(sim, fault, error):
    sim.graph.fail("depOnboardingSettings", fault, times=1)
    with pytest.raises((error, httpx.ReadError)):
        await fetch(sim, ADE)
    assert (await fetch(sim, ADE)).status_code == 200


async def test_a_trickle_outlasts_a_read_timeout(sim):
    sim.graph.fail("", faults.trickle(0.1))
    started = time.monotonic()
    async with (
        httpx.AsyncClient(verify=sim.tls.client(), trust_env=False, timeout=0.3) as client,
        client.stream("GET", f"{sim.graph.url}{ADE}") as answer,
    ):
        async for _part in answer.aiter_raw():
            if time.monotonic() - started > 0.5:
                break
    assert time.monotonic() - started > 0.5


async def test_faults_queue_and_skip(sim):
    sim.graph.fail("depOnboardingSettings", faults.status(429), times=1)
    sim.graph.fail("depOnboardingSettings", faults.status(500), skip=1, times=1)
    statuses = [(await fetch(sim, ADE)).status_code for _ in range(4)]
    assert statuses == [429, 200, 500, 200]
    assert [request.status for request in sim.graph.requests] == statuses


async def test_refused_connections_and_hooks(sim):
    with sim.graph.refusing(), pytest.raises(httpx.ConnectError):
        await fetch(sim, ADE)
    seen = []
    sim.graph.on_request = lambda request: seen.append((request.number, request.path, request.status))
    sim.graph.on_response = lambda request: seen.append(request.status)
    await fetch(sim, f"{VPP}?$select=id", **{"X-Probe": "1"})
    assert seen == [(1, VPP, None), 200]
    recorded = sim.graph.requests[0]
    assert (recorded.query, recorded.headers["X-Probe"]) == ({"$select": "id"}, "1")
    assert "authorization" not in {name.lower() for name in recorded.headers}


async def test_a_request_that_outlives_a_reset_calls_no_hook_of_what_comes_next(sim):
    until, met, seen = asyncio.Event(), asyncio.Event(), []
    sim.graph.fail("", held(until, asyncio.get_running_loop(), met), times=1)
    late = asyncio.create_task(fetch(sim, ADE))
    await met.wait()
    sim.graph.reset()
    sim.graph.on_response = seen.append
    until.set()
    await late
    assert seen == []
    await fetch(sim, VPP)
    assert len(seen) == 1


# Table Storage


@pytest.fixture(params=["direct", "proxied"])
async def table(request, sim, credential):
    endpoint = sim.env(proxied=request.param == "proxied")["TABLES_ENDPOINT"]
    async with TableServiceClient(endpoint, credential=credential, retry_total=0) as service:
        yield service.get_table_client("TokenStatus")


def row(key, **values):
    return {"PartitionKey": "ade", "RowKey": key, **values}


async def test_rows_go_in_and_come_out(sim, table):
    await table.upsert_entity(row("1", On=NOW, Count=3, Absent=None), mode=UpdateMode.REPLACE)
    await table.upsert_entity(row("1", On=NOW, Text="ü"), mode=UpdateMode.REPLACE)
    (found,) = [each async for each in table.list_entities()]
    assert found == row("1", On=NOW, Text="ü")
    assert sim.table_rows("TokenStatus") == [found]


@pytest.mark.parametrize(
    "key",
    ["it's", 'quote"s', "ünïcode 名", "%2F%23", "a b", "a+b", "a&b=c", "a:b", "(a)", "{a}", "a;b,c", "$batch", "~"],
)
@pytest.mark.sampled(6)
async def test_odd_keys_survive(table, key):
    created = await table.create_entity(row(key, Number=1))
    read = await table.get_entity("ade", key)
    await table.update_entity(
        row(key, Number=2), mode=UpdateMode.REPLACE, etag=created["etag"], match_condition=MatchConditions.IfNotModified
    )
    await table.submit_transaction([("upsert", row(key, Number=3), {"mode": UpdateMode.REPLACE})])
    (listed,) = [each async for each in table.query_entities("PartitionKey eq @p", parameters={"p": "ade"})]
    await table.delete_entity("ade", key)
    assert (read["RowKey"], read["Number"], listed["RowKey"], listed["Number"]) == (key, 1, key, 3)
    assert not [each async for each in table.list_entities()]


async def test_a_transaction_is_whole_or_nothing(table):
    await table.submit_transaction([("create", row(str(number), N=number)) for number in range(100)])
    assert len([each async for each in table.list_entities()]) == 100
    with pytest.raises(TableTransactionError):
        await table.submit_transaction([("create", row("new")), ("create", row("5"))])
    assert len([each async for each in table.list_entities()]) == 100


async def test_if_match_holds_outside_and_inside_a_transaction(table):
    stale = (await table.create_entity(row("1", N=1)))["etag"]
    await table.upsert_entity(row("1", N=2), mode=UpdateMode.REPLACE)
    condition = {"mode": UpdateMode.REPLACE, "etag": stale, "match_condition": MatchConditions.IfNotModified}
    with pytest.raises(HttpResponseError) as outside:
        await table.update_entity(row("1", N=3), **condition)
    assert outside.value.status_code == 412
    with pytest.raises(TableTransactionError) as inside:
        await table.submit_transaction([("create", row("2")), ("update", row("1", N=3), condition)])
    assert (inside.value.status_code, inside.value.index) == (412, 1)
    assert [each["N"] async for each in table.list_entities()] == [2]


@pytest.mark.filterwarnings("ignore:Testing an element's truth value:DeprecationWarning")  # the SDK, of XML errors
async def test_storage_wants_a_token_of_its_own_audience(sim, credential):
    async with TableServiceClient(sim.tables.endpoint, credential=credential, audience=bearer.MONITOR) as service:
        with pytest.raises(HttpResponseError) as refused:
            await service.get_table_client("CheckRun").upsert_entity(row("1"))
    assert refused.value.status_code in {401, 403}


async def test_the_proxy_takes_a_table_down_and_loses_answers(sim, credential):
    endpoint = sim.env(proxied=True)["TABLES_ENDPOINT"]
    async with TableServiceClient(endpoint, credential=credential, retry_total=0) as service:
        status, history = service.get_table_client("TokenStatus"), service.get_table_client("TokenHistory")
        sim.proxy.fail("TokenStatus", faults.table_status(503), method="POST", times=1)
        await history.submit_transaction([("create", row("1"))])
        with pytest.raises(HttpResponseError):
            await status.submit_transaction([("create", row("1"))])
        sim.proxy.fail("TokenStatus", faults.carried_out_then(faults.dropped()), times=1)
        with pytest.raises(ServiceRequestError):
            await status.submit_transaction([("create", row("2"))])
        sim.proxy.fail("TokenStatus", faults.dropped(), times=1)
        with pytest.raises(ServiceRequestError):
            await status.submit_transaction([("create", row("3"))])
    assert [each["RowKey"] for each in sim.table_rows("TokenStatus")] == ["2"]
    assert len(sim.proxy.requests) == 4


@pytest.mark.exhaustive
def test_rows_survive_a_restart_in_a_kept_folder(tmp_path):
    with Simulator(folder=tmp_path, tables=["Kept"]) as first, first.tables.client() as client:
        client.get_table_client("Kept").upsert_entity(row("1"))
    with Simulator(folder=tmp_path, tables=["Kept"]) as second:
        assert second.table_rows("Kept") == [row("1")]


# Logs Ingestion


def log_row(table, **values):
    samples = {"string": "x", "datetime": "2026-11-23T05:07:00.123456Z", "int": 1, "long": 1 << 40}
    return {c.name: samples[c.type] for c in table.columns if c.name not in NULLABLE} | values


@pytest.fixture
async def logs(sim, credential):
    async with LogsIngestionClient(sim.ingestion.url, credential, retry_total=0) as client:
        yield client


async def test_rows_reach_duckdb(sim, logs):
    rows = [log_row(FINDINGS, TokenId=str(number), ExpiresOn="2027-01-01T01:00:00+01:00") for number in range(2000)]
    await logs.upload(RULE_ID, "Custom-AppleTokenFinding_CL", rows)
    await logs.upload(RULE_ID, "Custom-AppleTokenRun_CL", [log_row(RUNS, Rows=None)])
    stored = sim.log_rows("AppleTokenFinding_CL")
    assert {each["TokenId"] for each in stored} == {str(number) for number in range(2000)}
    assert stored[0]["ExpiresOn"] == datetime(2027, 1, 1)  # noqa: DTZ001
    assert stored[0]["DaysLeft"] is None
    assert sim.log_rows("AppleTokenRun_CL")[0]["DurationMs"] == 1 << 40
    sim.reset()
    assert sim.log_rows("AppleTokenFinding_CL") == []


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"TenantId": "x"}, "no column TenantId"),
        ({"Severity": None}, "Severity is missing"),
        ({"DaysLeft": "7"}, "DaysLeft: '7' is no int"),
        ({"DaysLeft": 1 << 31}, "out of the range"),
        ({"DaysLeft": True}, "is no int"),
        ({"ExpiresOn": "soon"}, "is no datetime"),
        ({"ExpiresOn": "2027-01-01T00:00:00"}, "has no offset"),
        ({"TokenName": 7}, "TokenName: 7 is no string"),
    ],
)
async def test_rows_that_do_not_fit_are_refused(sim, logs, values, told):
    with pytest.raises(HttpResponseError, match=told) as refused:
        await logs.upload(RULE_ID, "Custom-AppleTokenFinding_CL", [log_row(FINDINGS), log_row(FINDINGS) | values])
    assert refused.value.status_code == 400
    assert sim.log_rows("AppleTokenFinding_CL") == []


async def test_ingestion_refuses_other_rules_streams_and_audiences(sim, logs):
    for rule, stream, status in ((RULE_ID, "Custom-Other_CL", 400), ("dcr-other", "Custom-AppleTokenRun_CL", 404)):
        with pytest.raises(HttpResponseError) as refused:
            await logs.upload(rule, stream, [log_row(RUNS)])
        assert refused.value.status_code == status
    path = f"{sim.ingestion.url}/dataCollectionRules/{RULE_ID}/streams/Custom-AppleTokenRun_CL?api-version=2023-01-01"
    async with httpx.AsyncClient(verify=sim.tls.client()) as client:
        for audience, headers, body, status in (
            (bearer.GRAPH, {}, b"[]", 401),
            (bearer.MONITOR, {}, b"[]", 415),
            (bearer.MONITOR, {"Content-Encoding": "gzip"}, b"[" + b" " * LARGEST_CALL + b"]", 413),
            (bearer.MONITOR, {"Content-Encoding": "gzip"}, b"{}", 400),
        ):
            content = gzip.compress(body) if headers else body
            token = f"Bearer {bearer.issue(audience)[0]}"
            answer = await client.post(path, content=content, headers={"Authorization": token, **headers})
            assert answer.status_code == status


# The worker

APP = """
    import logging
    import os
    import sys
    import time

    import azure.functions as func
    import helper

    app = func.FunctionApp()


    @app.timer_trigger(schedule="%CHECK_SCHEDULE%", arg_name="timer", use_monitor=True)
    @app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:01:00")
    async def works(timer: func.TimerRequest, context: func.Context) -> None:
        logging.getLogger("app").warning("%s %s %s", helper.NAME, timer.past_due, context.invocation_id)
        print(timer.schedule_status["Next"], os.path.basename(sys.path[-1]))


    @app.timer_trigger(schedule="0 7 * * * *", arg_name="timer")
    async def fails(timer: func.TimerRequest) -> None:
        raise ValueError("on purpose")


    @app.timer_trigger(schedule="0 7 * * * *", arg_name="timer")
    def hangs(timer: func.TimerRequest) -> None:
        time.sleep(60)
"""


@pytest.fixture
def app(tmp_path):
    folder = tmp_path / "an app"
    folder.mkdir()
    (folder / "function_app.py").write_text(textwrap.dedent(APP))
    (folder / "helper.py").write_text("NAME = 'helped'")
    return folder


def test_the_worker_indexes_and_runs_a_function(sim, app):
    timer = {"ScheduleStatus": {"Next": "the next one"}, "IsPastDue": True}
    result = run_worker(sim.env(), "works", app=app, timer=timer, invocation_id="an-id")
    assert (result.success, result.returncode, result.exception) == (True, 0, None)
    assert "WARNING app: helped True an-id" in result.logs
    assert "the next one an app" in result.logs
    assert min(result.peak_mib, result.duration_ms, result.start_ms, result.process_ms) > 0
    works = next(each for each in result.functions if each["name"] == "works")
    assert works["bindings"][0]["schedule"] == "%CHECK_SCHEDULE%"
    assert works["retry"] == {"retry_strategy": "fixed_delay", "max_retry_count": 2, "delay_interval": 60.0}


def test_the_worker_tells_failures(sim, app):
    result = run_worker(sim.env(), "fails", app=app, past_due=True)
    assert (result.success, result.returncode, result.exception) == (False, 1, "ValueError: on purpose")
    assert "function_app.py" in result.traceback
    assert "no function nowhere" in run_worker(sim.env(), "nowhere", app=app).exception
    (app / "helper.py").write_text("raise ImportError('broken')")
    assert "broken" in run_worker(sim.env(), None, app=app).exception


def test_a_worker_can_be_killed_and_times_out(sim, app):
    with worker(sim.env(), "hangs", app=app) as running:
        running.kill()
        result = running.wait(10)
    assert (result.success, result.returncode) == (False, -signal.SIGKILL)
    assert "killed by SIGKILL" in result.exception
    with pytest.raises(TimeoutError):
        run_worker(sim.env(), "hangs", app=app, timeout=0.5)
    assert not [each for each in psutil.Process().children() if "worker.py" in " ".join(each.cmdline())]


# Start and stop


@pytest.mark.exhaustive
def test_nothing_is_left_running():
    with Simulator(tables=[]) as started:
        work, azurite = started.tls.ca_file.parent, started.tables.process.pid
        servers = [server.port for server in (started.identity, started.graph, started.ingestion, started.proxy)]
    assert not psutil.pid_exists(azurite)
    assert not work.exists()
    listening = {each.laddr.port for each in psutil.Process().net_connections() if each.status == psutil.CONN_LISTEN}
    assert listening.isdisjoint(servers)


@pytest.mark.parametrize("how", ["SIGKILL", "SIGINT"])
@pytest.mark.exhaustive
def test_azurite_ends_with_whoever_started_it(how):
    script = f"""
        import os, signal, time
        from simulator.stack import Simulator
        with Simulator(tables=[]) as sim:
            print(sim.tables.process.pid, sim.tls.ca_file.parent, flush=True)
            os.kill(os.getpid(), signal.{how})
            time.sleep(60)
    """
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode in {-signal.Signals[how], 130}
    azurite, work = ended.stdout.split(maxsplit=1)
    gone = time.monotonic() + 5
    while psutil.pid_exists(int(azurite)) and time.monotonic() < gone:
        time.sleep(0.01)
    assert not psutil.pid_exists(int(azurite))
    shutil.rmtree(work.strip(), ignore_errors=True)  # nobody could, after SIGKILL


def test_missing_node_is_said_in_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SimulatorError, match=r"Node\.js.* is not on the PATH\. .*make setup"), Simulator():
        pass
    monkeypatch.undo()
    monkeypatch.setattr("simulator.azurite._SCRIPT", tmp_path / "main.js")
    with pytest.raises(SimulatorError, match=r"Azurite.* is missing\..*`make setup`"), Simulator():
        pass


def test_the_apps_environment_is_the_simulators_alone(sim, monkeypatch):
    for name in ("HTTPS_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "AZURE_TENANT_ID", "MSI_ENDPOINT"):
        monkeypatch.setenv(name, "elsewhere")
    environment = sim.env()
    assert "elsewhere" not in environment.values()
    assert environment["SSL_CERT_FILE"] == str(sim.tls.ca_file)
    assert "PATH" in environment
    with applied({"ONLY": "this"}):
        assert dict(os.environ) == {"ONLY": "this"}


# The tenants


def test_the_tenants_are_functions_of_the_clock():
    assert default_tenant(NOW) == default_tenant(NOW)
    for number in (1, 101, 250, 2000):
        assert len({item["id"] for item in many(number, NOW).ade}) == number
    for tenant in (default_tenant(NOW), healthy_tenant(NOW)):
        ids = [item["id"] for item in (*tenant.ade, *tenant.vpp)]
        assert len(ids) == len(set(ids))


def test_the_scenario_tells_its_story():
    days = 30
    begin = [scenario(NOW + timedelta(hours=hour), NOW, days) for hour in range(24 * days)]
    outage = [hour for hour, scene in enumerate(begin) if scene.outage]
    assert len(outage) == 5
    names = [{token["tokenName"] for token in scene.tenant.ade} for scene in (begin[0], begin[-1])]
    assert names[0] - names[1] == {"Fabrikam Pilot"}
    for name, prop, values in (
        ("Contoso HQ", "tokenExpirationDateTime", 2),
        ("Contoso Retail", "tokenExpirationDateTime", 2),
        ("Fabrikam Academy", "appleIdentifier", 2),
        ("Contoso Field Service", "syncedDeviceCount", 2),
        ("Fabrikam Berlin", "lastSyncErrorCode", 2),
    ):
        seen = {token[prop] for scene in begin for token in scene.tenant.ade if token["tokenName"] == name}
        assert len(seen) == values, name
    for hour, scene in enumerate(begin):
        for token in scene.tenant.ade:
            assert datetime.fromisoformat(token["lastSuccessfulSyncDateTime"]) <= NOW + timedelta(hours=hour, minutes=1)
    assert [event.on for event in events(NOW, days)] == sorted(event.on for event in events(NOW, days))
