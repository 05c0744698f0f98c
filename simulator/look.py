"""`python -m simulator.look ENDPOINT CA_FILE TABLE`: a table of the simulator, one JSON line per row."""

import json
import sys
from pathlib import Path

from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableServiceClient

from simulator import bearer


def main(endpoint: str, ca_file: str, table: str) -> None:
    """Print every row of `table`."""
    credential = bearer.StaticCredential()
    transport = RequestsTransport(connection_verify=str(Path(ca_file)))
    with TableServiceClient(endpoint, credential=credential, transport=transport) as service:
        for entity in service.get_table_client(table).list_entities():
            print(json.dumps(dict(entity), default=str))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
