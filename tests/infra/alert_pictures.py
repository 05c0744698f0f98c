"""Renews the pictures of an alert in docs/images, as an email and as a card in Teams; `RENEW` is the command.

They approximate what Azure Monitor and Teams show for the payload: the parts and their order, not the exact layout.
"""

import asyncio
import json
import sys
import tempfile
import zlib
from datetime import timedelta
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

import chromium
import compiler
from builders import ade, at, fired, judged
from deployment import deployment
from expressions import filled
from terms import NOTHING, NOW

from simulator.host import ROOT
from simulator.mail import payload, subject
from simulator.rules import Event, Rule

IMAGES = ROOT / "docs" / "images"
RENEW = "PYTHONPATH=.:tests/unit:tests/cli .venv/bin/python tests/infra/alert_pictures.py"
_KEYWORD = b"source-sha256"

CARD = json.loads((compiler.INFRA / "teams-workflow.json").read_text("utf-8"))
"""The Logic App that posts a card for each alert."""
PARAMETERS = {
    "webhook": "https://example.com/flow",
    "portalUrl": "https://portal.azure.us",
    "documentsUrl": "https://docs",
}
ADAPTIVE_CARDS = ROOT / "node_modules" / "adaptivecards" / "dist" / "adaptivecards.min.js"

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


@cache
def _alert() -> tuple[Rule, Event]:
    """Return the alert of a token that expires in a week, and its rule as it is deployed."""
    found = deployment("public")
    rule = next(rule for rule in found.rules if rule.name == "token_critical")
    deployed = found.alerts[rule.name]
    properties = tuple(deployed["actions"]["customProperties"].items())
    rule = rule._replace(description=deployed["description"], properties=properties)
    expiring = ade(id="3f8313bb-f37c-5627-922c-c221c7d1bfc6", name="Contoso Retail", expires_on=NOW + timedelta(days=7))
    (event,) = fired(rule, *judged(at(NOTHING, expiring))[-1].statuses)
    return rule, event


def mail() -> str:
    """Return the email of the alert, as HTML."""
    rule, event = _alert()
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


def posted(sent: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs of the request to Teams, as the Logic App fills them from what Azure sends."""
    surroundings: dict[str, Any] = {"triggerBody": lambda: sent, "parameters": PARAMETERS.__getitem__}
    select = CARD["actions"]["rows"]["inputs"]
    rows = [
        filled(select["select"], surroundings | {"item": lambda item=item: item})
        for item in filled(select["from"], surroundings)
    ]
    return filled(CARD["actions"]["post"]["inputs"], surroundings | {"body": {"rows": rows}.__getitem__})


def card_of(sent: dict[str, Any]) -> dict[str, Any]:
    """Return the card that the Logic App posts of what Azure sends."""
    (attachment,) = posted(sent)["body"]["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    return attachment["content"]


def card() -> str:
    """Return the card of the alert, as JSON."""
    return json.dumps(card_of(payload(*_alert())))


PICTURES = {"alert-mail": mail, "alert-card": card}


def taken_of(name: str) -> str:
    """Return the digest of the content that a picture was taken of."""
    return (IMAGES / f"{name}.png").read_bytes().partition(_KEYWORD + b"\0")[2][:64].decode()


def digest(content: str) -> str:
    return sha256(content.encode()).hexdigest()


def _marked(picture: bytes, content: str) -> bytes:
    """Put the digest into the picture, as a tEXt chunk before its last one. https://www.w3.org/TR/png-3/#11tEXt"""
    text = b"tEXt" + _KEYWORD + b"\0" + digest(content).encode()
    chunk = (len(text) - 4).to_bytes(4) + text + zlib.crc32(text).to_bytes(4)
    return picture[:-12] + chunk + picture[-12:]


_CARD_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Card</title>
<style>
body { background: #f5f5f5; margin: 24px; }
.ac-adaptiveCard { background: #fff; border: 1px solid #ddd; border-radius: 6px; overflow-wrap: anywhere; }
.ac-pushButton { background: #fff; border: 1px solid #c7c7c7; border-radius: 4px; padding: 6px 12px; font-weight: 600; }
</style>
</html>
"""
_SHOW = """
(content => {
  const card = new AdaptiveCards.AdaptiveCard();
  card.hostConfig = new AdaptiveCards.HostConfig({
    fontFamily: '"Segoe UI", "Liberation Sans", sans-serif',
    containerStyles: {attention: {backgroundColor: "#f9d9d9"}},
  });
  card.parse(content);
  document.body.replaceChildren(card.render());
})"""


async def _take(name: str, content: str) -> bytes:
    """Take a picture of a mail, which is a page, or of a card, which the script of Adaptive Cards renders."""
    async with chromium.browser() as page:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "alert.html"
            file.write_text(content if name == "alert-mail" else _CARD_PAGE, "utf-8")
            height, width = 700, 900 if name == "alert-mail" else 600
            for _ in range(2):  # the second time as high as the content
                await page.open(file, width=width, height=height)
                if name == "alert-card":
                    await page.call("Emulation.setScriptExecutionDisabled", value=False)
                    await page.call("Runtime.evaluate", expression=ADAPTIVE_CARDS.read_text("utf-8"))
                    await page.value(f"{_SHOW}({content})")
                height = await page.value("document.body.getBoundingClientRect().bottom") + 24
            return await page.screenshot()


if __name__ == "__main__":
    for picture, source in PICTURES.items():
        made = source()
        (IMAGES / f"{picture}.png").write_bytes(_marked(asyncio.run(_take(picture, made)), made))
        sys.stdout.write(f"{IMAGES / picture}.png\n")
