"""Writes what each example would deploy as one flat template, for programs that read templates: flatten.py FOLDER."""

import json
import sys
from pathlib import Path

from compiler import INFRA, snapshot


def flatten(folder: Path) -> None:
    """Write FOLDER/<example>.json for each parameter file of infra/examples/, with every expression evaluated."""
    for example in sorted((INFRA / "examples").glob("*.bicepparam")):
        template = {
            "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
            "contentVersion": "1.0.0.0",
            "resources": snapshot(example)["predictedResources"],
        }
        (folder / f"{example.stem}.json").write_text(json.dumps(template, indent=1), "utf-8")


if __name__ == "__main__":
    flatten(Path(sys.argv[1]))
