"""The simulator: what it refuses, what it hides, and that its faults do what their names say."""

import asyncio
import gzip
import os
from datetime import UTC, datetime
from urllib.parse import quote

import httpx
import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError
from azure.data.tables.aio import TableServiceClient
from azure.identity.aio import DefaultAzureCredential
from azure.monitor.ingestion.aio import LogsIngestionClient
from support import held

from shared.publishing.rows import FINDINGS, RUNS
from simulator import bearer, faults
from simulator.devices import PROFILE_SECRET, many_devices, profile
from simulator.graph import ADE, APNS, DEVICES, EVENTS, PROFILES, VPP
from simulator.ingestion import LARGEST_CALL, NULLABLE, RULE_ID
from simulator.stack import applied
from simulator.tenant import APNS_SECRET, VPP_SECRET, Tenant, ade_token, fixed_id

NOW = datetime(2026, 11, 23, 5, 7, tzinfo=UTC)
TOKEN = ade_token("Contoso HQ", expires=NOW, synced=NOW)
ID = TOKEN["id"]
BOTH = (bearer.SERVICE_ROLE, bearer.EVENTS_ROLE)


def at(part="", token_id=ID):
    return f"{ADE}/{quote(token_id, safe='')}{part and f'/{part}'}"


@pytest.fixture
async def credential(sim):
    with applied(sim.env()):
        async with DefaultAzureCredential(managed_identity_client_id=bearer.CLIENT_ID) as signed_in:
            yield signed_in


@pytest.fixture
async def get(sim):
    """Asks Graph, with an access token that has `roles`; query options are named without their dollar sign."""
    async with httpx.AsyncClient(verify=sim.tls.client(), trust_env=False, timeout=1) as client:

        async def ask(path, *, resource=bearer.GRAPH, roles=BOTH, **query):
            headers = {"Authorization": f"Bearer {bearer.issue(resource, roles=roles)[0]}"}
            url = path if path.startswith("http") else f"{sim.graph.url}{path}"
            params = {f"${name}": value for name, value in query.items()} or None
            return await client.get(url, params=params, headers=headers)

        yield ask


# Identity and Graph


@pytest.mark.parametrize(
    ("query", "header", "status"),
    [
        ({}, None, 200),
        ({}, "wrong", 403),
        ({"resource": "https://elsewhere.example"}, None, 400),
        ({"client_id": "somebody else"}, None, 400),
        ({"api-version": "2017-09-01"}, None, 400),
    ],
)
async def test_identity_issues_a_token_only_for_a_valid_request(sim, query, header, status):
    params = {"api-version": "2019-08-01", "resource": bearer.GRAPH, **query}
    headers = {"X-IDENTITY-HEADER": header or sim.identity.header}
    async with httpx.AsyncClient() as client:
        answer = await client.get(sim.identity.endpoint, params=params, headers=headers)
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("path", "resource", "roles", "status"),
    [
        (ADE, bearer.GRAPH, [], 403),
        (ADE, bearer.STORAGE, [bearer.SERVICE_ROLE], 401),
        (ADE, bearer.GRAPH, [bearer.EVENTS_ROLE], 403),
        (EVENTS, bearer.GRAPH, [bearer.SERVICE_ROLE], 403),
        (ADE, bearer.GRAPH, [bearer.SERVICE_ROLE], 200),
        (EVENTS, bearer.GRAPH, [bearer.EVENTS_ROLE], 200),
    ],
)
async def test_graph_checks_the_audience_and_the_role_of_a_token(get, path, resource, roles, status):
    assert (await get(path, resource=resource, roles=roles)).status_code == status


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        (ADE, {"top": "0"}, 400),
        (ADE, {"top": "many"}, 400),
        (at(), {"expand": "defaultWatchOSEnrollmentProfile"}, 400),
        (at(), {"expand": "defaultIosEnrollmentProfile($top=1)"}, 400),
        (EVENTS, {"filter": "enrollmentType eq 'appleBulkWithUser'"}, 400),
        (EVENTS, {"filter": "eventDateTime ge 2026-11-23T02:07:00"}, 400),
        (EVENTS, {"select": "eventDateTime,enrollmentType"}, 400),  # which only one type of event has
        (at(DEVICES, fixed_id("nobody's")), {}, 404),
        (at("defaultProfiles"), {}, 404),
        (at().replace("beta", "v1.0"), {}, 404),
    ],
)
async def test_graph_refuses_what_the_real_one_refuses(sim, get, path, query, status):
    sim.graph.tenant = Tenant((TOKEN,))
    answer = await get(path, **query)
    assert (answer.status_code, "code" in answer.json()["error"]) == (status, True)


@pytest.mark.parametrize(
    ("top", "sizes"), [(None, [100, 100, 50]), ("200", [200, 50]), ("5000", [240, 10])], ids=["default", "200", "5000"]
)
async def test_a_list_is_paged_to_its_end_with_its_select(sim, get, top, sizes):
    sim.graph.largest_page = 240
    listed = many_devices(250, ID, NOW)
    sim.graph.tenant = Tenant((TOKEN,), devices={ID: listed})
    page = (await get(at(DEVICES), select="serialNumber,platform", **({"top": top} if top else {}))).json()
    pages = [page]
    while link := page.get("@odata.nextLink"):
        page = (await get(link)).json()
        pages.append(page)
    assert [len(page["value"]) for page in pages] == sizes
    assert [item for page in pages for item in page["value"]] == [
        {name: item[name] for name in ("serialNumber", "platform")} for item in listed
    ]


async def test_secrets_are_served_unless_select_omits_them(sim, get):
    default = sim.graph.tenant
    macs = profile("Macs", token_id=ID, platform="MacOs")
    assert (await get(VPP)).json()["value"][0]["token"].startswith(VPP_SECRET)
    certificates = [(await get(APNS)).json() for _ in range(2)]
    assert certificates[0]["certificate"].startswith(APNS_SECRET)
    assert certificates[0]["id"] != certificates[1]["id"], "as in Graph, the ID is another one at each reading"
    sim.graph.tenant = Tenant((TOKEN,), default.vpp, default.apns, profiles={ID: [macs]})
    (served,) = (await get(at(PROFILES))).json()["value"]
    assert served["adminAccountPassword"].startswith(PROFILE_SECRET)
    for path in (VPP, APNS, at(PROFILES)):
        text = (await get(path, select="id,displayName")).text
        assert not [secret for secret in (VPP_SECRET, APNS_SECRET, PROFILE_SECRET) if secret in text]


# Faults


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (faults.status(429, retry_after=170), lambda a: (a.status_code, a.headers["Retry-After"]) == (429, "170")),
        (faults.status(503, retry_after=NOW), lambda a: a.headers["Retry-After"] == "Mon, 23 Nov 2026 05:07:00 GMT"),
        (faults.claims_challenge(), lambda a: "claims=" in a.headers["WWW-Authenticate"]),
        (faults.missing_role(), lambda a: bearer.SERVICE_ROLE in a.json()["error"]["message"]),
        (faults.html(200), lambda a: a.headers["Content-Type"].startswith("text/html")),
        (faults.empty(204), lambda a: (a.status_code, a.content) == (204, b"")),
        (faults.redirect("https://elsewhere.example/"), lambda a: a.headers["Location"].startswith("https://else")),
        (faults.next_link("https://elsewhere.example/"), lambda a: "elsewhere" in a.json()["@odata.nextLink"]),
        (faults.next_link_loop(), lambda a: a.json()["@odata.nextLink"] == str(a.request.url)),
        (faults.item_is(7), lambda a: a.json()["value"][0] == 7),
        (faults.item_without_id(), lambda a: "id" not in a.json()["value"][0]),
    ],
)
async def test_a_fault_answers_as_its_name_states_and_only_once(sim, get, fault, expected):
    sim.graph.page_size = 5
    sim.graph.fail("depOnboardingSettings", fault, times=1)
    assert expected(await get(ADE))
    healthy = await get(ADE)
    assert (healthy.status_code, len(healthy.json()["value"])) == (200, 5)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.dropped(), httpx.RemoteProtocolError),
        (faults.cut_off(), httpx.RemoteProtocolError),
        (faults.delay(2), httpx.ReadTimeout),
    ],
)
async def test_a_fault_breaks_one_connection(sim, get, fault, error):
    sim.graph.fail("depOnboardingSettings", fault, times=1)
    with pytest.raises((error, httpx.ReadError)):
        await get(ADE)
    assert (await get(ADE)).status_code == 200


async def test_faults_queue_and_skip_requests(sim, get):
    sim.graph.fail("depOnboardingSettings", faults.status(429), times=1)
    sim.graph.fail("depOnboardingSettings", faults.status(500), skip=1, times=1)
    statuses = [(await get(ADE)).status_code for _ in range(4)]
    assert statuses == [429, 200, 500, 200]
    assert [request.status for request in sim.graph.requests] == statuses


async def test_a_request_that_outlives_a_reset_calls_no_hook_of_the_next_test(sim, get):
    until, met, seen = asyncio.Event(), asyncio.Event(), []
    sim.graph.fail("", held(until, asyncio.get_running_loop(), met), times=1)
    late = asyncio.create_task(get(ADE))
    await met.wait()
    sim.graph.reset()
    sim.graph.on_response = seen.append
    until.set()
    await late
    assert seen == []
    await get(VPP)
    assert len(seen) == 1


async def test_the_proxy_fails_one_table_and_loses_answers(sim, credential):
    row = {"PartitionKey": "ade", "RowKey": "1"}
    endpoint = sim.env(proxied=True)["TABLES_ENDPOINT"]
    async with TableServiceClient(endpoint, credential=credential, retry_total=0) as service:
        status, history = service.get_table_client("TokenStatus"), service.get_table_client("TokenHistory")
        sim.proxy.fail("TokenStatus", faults.table_status(503), method="POST", times=1)
        await history.submit_transaction([("create", row)])
        with pytest.raises(HttpResponseError):
            await status.submit_transaction([("create", row)])
        sim.proxy.fail("TokenStatus", faults.carried_out_then(faults.dropped()), times=1)
        with pytest.raises(ServiceRequestError):
            await status.submit_transaction([("create", {**row, "RowKey": "2"})])
        sim.proxy.fail("TokenStatus", faults.dropped(), times=1)
        with pytest.raises(ServiceRequestError):
            await status.submit_transaction([("create", {**row, "RowKey": "3"})])
    assert [each["RowKey"] for each in sim.table_rows("TokenStatus")] == ["2"]
    assert len(sim.proxy.requests) == 4


@pytest.mark.filterwarnings("ignore:Testing an element's truth value:DeprecationWarning")  # the SDK, of XML errors
async def test_storage_refuses_a_token_of_another_audience(sim, credential):
    async with TableServiceClient(sim.tables.endpoint, credential=credential, audience=bearer.MONITOR) as service:
        with pytest.raises(HttpResponseError) as refused:
            await service.get_table_client("CheckRun").upsert_entity({"PartitionKey": "1", "RowKey": "1"})
    assert refused.value.status_code in {401, 403}


# Logs Ingestion


def log_row(table, **values):
    samples = {"string": "x", "datetime": "2026-11-23T05:07:00.123456Z", "int": 1, "long": 1 << 40}
    return {c.name: samples[c.type] for c in table.columns if c.name not in NULLABLE} | values


@pytest.fixture
async def logs(sim, credential):
    async with LogsIngestionClient(sim.ingestion.url, credential, retry_total=0) as client:
        yield client


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"TenantId": "x"}, "no column TenantId"),
        ({"Severity": None}, "Severity is missing"),
        ({"DaysLeft": "7"}, "DaysLeft: '7' is no int"),
        ({"DaysLeft": 1 << 31}, "out of the range"),
        ({"ExpiresOn": "2027-01-01T00:00:00"}, "has no offset"),
        ({"TokenName": 7}, "TokenName: 7 is no string"),
    ],
)
async def test_ingestion_refuses_rows_that_do_not_fit_the_table(sim, logs, values, reason):
    with pytest.raises(HttpResponseError, match=reason) as refused:
        await logs.upload(RULE_ID, f"Custom-{FINDINGS.name}", [log_row(FINDINGS), log_row(FINDINGS) | values])
    assert refused.value.status_code == 400
    assert sim.log_rows(FINDINGS.name) == []


async def test_ingestion_refuses_other_rules_streams_audiences_and_sizes(sim, logs):
    for rule, stream, status in ((RULE_ID, "Custom-Other_CL", 400), ("dcr-other", f"Custom-{RUNS.name}", 404)):
        with pytest.raises(HttpResponseError) as refused:
            await logs.upload(rule, stream, [log_row(RUNS)])
        assert refused.value.status_code == status
    path = f"{sim.ingestion.url}/dataCollectionRules/{RULE_ID}/streams/Custom-{RUNS.name}?api-version=2023-01-01"
    async with httpx.AsyncClient(verify=sim.tls.client()) as client:
        for audience, headers, body, status in (
            (bearer.GRAPH, {}, b"[]", 401),
            (bearer.MONITOR, {}, b"[]", 415),
            (bearer.MONITOR, {"Content-Encoding": "gzip"}, b"[" + b" " * LARGEST_CALL + b"]", 413),
        ):
            content = gzip.compress(body) if headers else body
            token = f"Bearer {bearer.issue(audience)[0]}"
            answer = await client.post(path, content=content, headers={"Authorization": token, **headers})
            assert answer.status_code == status


# Start and stop


def test_the_apps_environment_is_the_simulators_alone(sim, monkeypatch):
    for name in ("HTTPS_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "AZURE_TENANT_ID", "MSI_ENDPOINT"):
        monkeypatch.setenv(name, "elsewhere")
    environment = sim.env()
    assert "elsewhere" not in environment.values()
    assert environment["SSL_CERT_FILE"] == str(sim.tls.ca_file)
    with applied({"ONLY": "this"}):
        assert dict(os.environ) == {"ONLY": "this"}
