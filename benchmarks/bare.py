"""Makes only the calls of a check, with bare httpx, as the baseline for the app.

Run it in a process of its own: `python benchmarks/bare.py ROWS_FILE`, with the app's environment. ROWS_FILE contains
the rows that a check would send. It imports nothing from the project, and prints one JSON line: the milliseconds of
the calls.
"""

import asyncio
import gzip
import json
import os
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

GRAPH = os.environ["GRAPH_ENDPOINT"]
TABLES = os.environ["TABLES_ENDPOINT"]
LOGS = os.environ["LOGS_INGESTION_ENDPOINT"]
RULE = os.environ["LOGS_INGESTION_RULE_ID"]
ACCOUNT = TABLES.rpartition("/")[2]
PATHS = {
    "beta/deviceManagement/depOnboardingSettings": "id,tokenName,tokenType,appleIdentifier,tokenExpirationDateTime,"
    "lastModifiedDateTime,lastSuccessfulSyncDateTime,lastSyncErrorCode,syncedDeviceCount",
    "v1.0/deviceManagement/applePushNotificationCertificate": "id,appleIdentifier,expirationDateTime,"
    "topicIdentifier,certificateSerialNumber,certificateUploadStatus,certificateUploadFailureReason",
    "beta/deviceAppManagement/vppTokens": "id,displayName,locationName,organizationName,vppTokenAccountType,appleId,"
    "expirationDateTime,lastModifiedDateTime,lastSyncDateTime,lastSyncStatus,state",
}
TABLE_HEADERS = {
    "x-ms-version": "2020-12-06",
    "Accept": "application/json;odata=minimalmetadata",
    "DataServiceVersion": "3.0",
}


async def token(http: httpx.AsyncClient, resource: str) -> dict[str, str]:
    answer = await http.get(
        os.environ["IDENTITY_ENDPOINT"],
        params={"api-version": "2019-08-01", "resource": resource, "client_id": os.environ["AZURE_CLIENT_ID"]},
        headers={"X-IDENTITY-HEADER": os.environ["IDENTITY_HEADER"]},
    )
    return {"Authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}


async def read(http: httpx.AsyncClient, bearer: dict[str, str], path: str, select: str) -> list[Any]:
    items: list[Any] = []
    url: str | None = f"{GRAPH}/{path}?$select={select}"
    while url:
        answer = await http.get(url, headers=bearer)
        if answer.status_code == 404:
            break
        page = answer.raise_for_status().json()
        items += page.get("value", [page])
        url = page.get("@odata.nextLink")
    return items


async def load(http: httpx.AsyncClient, bearer: dict[str, str], table: str) -> dict[tuple[str, str], str]:
    etags: dict[tuple[str, str], str] = {}
    params = {"$select": "PartitionKey,RowKey,Memory"}
    while True:
        answer = await http.get(f"{TABLES}/{table}()", params=params, headers={**bearer, **TABLE_HEADERS})
        for row in answer.raise_for_status().json()["value"]:
            etags[row["PartitionKey"], row["RowKey"]] = row["odata.etag"]
        if "x-ms-continuation-NextPartitionKey" not in answer.headers:
            return etags
        params["NextPartitionKey"] = answer.headers["x-ms-continuation-NextPartitionKey"]
        params["NextRowKey"] = answer.headers["x-ms-continuation-NextRowKey"]


def batch(rows: list[dict[str, Any]], etags: dict[tuple[str, str], str]) -> tuple[str, bytes]:
    outer, inner = f"batch_{uuid.uuid4()}", f"changeset_{uuid.uuid4()}"
    parts = [f"--{outer}\r\nContent-Type: multipart/mixed; boundary={inner}\r\n\r\n"]
    for number, row in enumerate(rows):
        keys = row["PartitionKey"], row["RowKey"]
        body = json.dumps(row)
        parts.append(
            f"--{inner}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
            f"Content-ID: {number}\r\n\r\n"
            f"PUT {TABLES}/TokenStatus(PartitionKey='{keys[0]}',RowKey='{keys[1]}') HTTP/1.1\r\n"
            f"Content-Type: application/json\r\nAccept: application/json\r\nDataServiceVersion: 3.0\r\n"
            f"If-Match: {etags[keys]}\r\nContent-Length: {len(body)}\r\n\r\n{body}\r\n"
        )
    parts.append(f"--{inner}--\r\n--{outer}--\r\n")
    return outer, "".join(parts).encode()


async def submit(
    http: httpx.AsyncClient, bearer: dict[str, str], rows: list[dict[str, Any]], etags: dict[tuple[str, str], str]
) -> None:
    boundary, body = batch(rows, etags)
    headers = {**bearer, **TABLE_HEADERS, "Content-Type": f"multipart/mixed; boundary={boundary}"}
    answer = await http.post(f"{TABLES}/$batch", content=body, headers=headers)
    if answer.status_code != 202 or "HTTP/1.1 4" in answer.text:
        raise RuntimeError(answer.text)


async def send(http: httpx.AsyncClient, bearer: dict[str, str], table: str, rows: list[dict[str, Any]]) -> None:
    url = f"{LOGS}/dataCollectionRules/{RULE}/streams/Custom-{table}?api-version=2023-01-01"
    headers = {**bearer, "Content-Type": "application/json", "Content-Encoding": "gzip"}
    per_call = 950_000 // max(len(json.dumps(row)) for row in rows)
    for start in range(0, len(rows), per_call):
        body = gzip.compress(json.dumps(rows[start : start + per_call]).encode(), 6)
        (await http.post(url, content=body, headers=headers)).raise_for_status()


async def check(rows: dict[str, list[dict[str, Any]]]) -> None:
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    run = str(uuid.uuid4())
    async with httpx.AsyncClient(timeout=60, http2=True) as http:
        graph, tables = await asyncio.gather(
            token(http, "https://graph.microsoft.com"), token(http, "https://storage.azure.com")
        )
        *_, etags, _ = await asyncio.gather(
            *(read(http, graph, *one) for one in PATHS.items()),
            load(http, tables, "TokenStatus"),
            load(http, tables, "DeviceInspection"),
        )
        logs = await token(http, "https://monitor.azure.com")
        status = [
            {**row, "RunId": run, "CheckedOn": now, "CheckedOn@odata.type": "Edm.DateTime"} for row in rows["status"]
        ]
        findings = [{**row, "RunId": run, "TimeGenerated": now} for row in rows["findings"]]
        batches = [status[start : start + 100] for start in range(0, len(status), 100)]
        await asyncio.gather(
            *(submit(http, tables, one, etags) for one in batches), send(http, logs, "AppleTokenFinding_CL", findings)
        )
        key = f"{253402300799999 - time.time_ns() // 1_000_000:015d}"
        entity = {**rows["run"][0], "RowKey": key, "RunId": run}
        url = f"{TABLES}/CheckRun(PartitionKey='{entity['PartitionKey']}',RowKey='{key}')"
        answer = await http.put(
            url, content=json.dumps(entity), headers={**tables, **TABLE_HEADERS, "Content-Type": "application/json"}
        )
        answer.raise_for_status()
        runs = [{**row, "RunId": run, "TimeGenerated": now} for row in rows["runs"]]
        await send(http, logs, "AppleTokenRun_CL", runs[:-1])
        await send(http, logs, "AppleTokenRun_CL", runs[-1:])


def main() -> None:
    rows = json.loads(Path(sys.argv[1]).read_text())
    begun = time.perf_counter()
    asyncio.run(check(rows))
    print(json.dumps({"ms": 1000 * (time.perf_counter() - begun)}))


if __name__ == "__main__":
    main()
