"""The picture of a mail in docs/images: the command in `RENEW` takes it anew.

It approximates what Azure Monitor makes of the payload: the parts and their order, not their exact look.
"""

import asyncio
import sys
import tempfile
import zlib
from datetime import timedelta
from hashlib import sha256
from html import escape
from pathlib import Path

import chromium
from builders import NOTHING, NOW, ade, at, judged
from deployment import deployment

from shared.guidance.guidance import Guidance
from shared.storage.rows import finding_rows
from simulator.host import ROOT
from simulator.mail import payload, subject
from simulator.rules import Event, alert_of

PICTURE = ROOT / "docs" / "images" / "alert-mail.png"
RENEW = "PYTHONPATH=.:tests/unit:tests/cli .venv/bin/python tests/infra/mail_picture.py"
_KEYWORD = b"source-sha256"

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Mail</title>
<style>
body {{ font: 14px "Segoe UI", "Liberation Sans", sans-serif; margin: 24px; color: #222; }}
h1 {{ font-size: 18px; margin: 0 0 16px; }}
h2 {{ font-size: 15px; margin: 20px 0 4px; }}
header {{ background: #a4262c; color: #fff; padding: 12px 16px; font-size: 16px; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ border-bottom: 1px solid #ddd; padding: 6px 8px; text-align: left; vertical-align: top; }}
th {{ width: 190px; font-weight: 600; }}
td {{ white-space: pre-line; overflow-wrap: anywhere; }}
</style>
<h1>{subject}</h1>
<header>{condition}: {severity} Azure Monitor alert {rule}</header>
<h2>Summary</h2><table>{summary}</table>
<h2>Dimensions</h2><table>{dimensions}</table>
</html>
"""


def content() -> str:
    """Return the mail of a token that expires in a week, as HTML: the deployed rule, filled as Azure fills it."""
    found = deployment("public")
    rule = next(rule for rule in found.rules if rule.name == "token_critical")
    rule = rule._replace(description=found.alerts[rule.name]["description"])
    expiring = ade(id="3f8313bb-f37c-5627-922c-c221c7d1bfc6", name="Contoso Retail", expires_on=NOW + timedelta(days=7))
    (status,) = judged(at(NOTHING, expiring))[-1].statuses
    (row,) = finding_rows(status, "tenant", "this-deployment", Guidance())
    event = Event("fired", alert_of(rule, [str(row[name]) for name in rule.dimensions]), NOW, NOW)
    data = payload(rule, event)["data"]
    essentials = data["essentials"]
    names = ("alertRule", "severity", "monitorCondition", "firedDateTime", "monitoringService", "description")
    dimensions = data["alertContext"]["condition"]["allOf"][0]["dimensions"]
    return _PAGE.format(
        subject=escape(subject(rule, event)),
        condition=essentials["monitorCondition"],
        severity=essentials["severity"],
        rule=escape(essentials["alertRule"]),
        summary=_rows((name, essentials[name]) for name in names),
        dimensions=_rows((one["name"], one["value"]) for one in dimensions),
    )


def _rows(pairs) -> str:
    return "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>\n" for name, value in pairs)


def taken_of(picture: bytes) -> str:
    """Return the digest of the content that a picture was taken of."""
    return picture.partition(_KEYWORD + b"\0")[2][:64].decode()


def digest(html: str) -> str:
    return sha256(html.encode()).hexdigest()


def _marked(picture: bytes, html: str) -> bytes:
    """Put the digest into the picture, as a tEXt chunk before its last one. https://www.w3.org/TR/png-3/#11tEXt"""
    text = b"tEXt" + _KEYWORD + b"\0" + digest(html).encode()
    chunk = (len(text) - 4).to_bytes(4) + text + zlib.crc32(text).to_bytes(4)
    return picture[:-12] + chunk + picture[-12:]


async def _take(html: str) -> bytes:
    async with chromium.browser() as page:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "mail.html"
            file.write_text(html, "utf-8")
            await page.open(file, width=900, height=700)
            height = await page.value("document.documentElement.scrollHeight")
            await page.open(file, width=900, height=height + 24)
            return await page.screenshot()


if __name__ == "__main__":
    made = content()
    PICTURE.write_bytes(_marked(asyncio.run(_take(made)), made))
    sys.stdout.write(f"{PICTURE}\n")
