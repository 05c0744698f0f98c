"""The card that Teams shows of an alert: as the Logic App fills it, valid, and harmless whatever a name holds."""

import json
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import chromium
import jsonschema
import pytest
from alert_pictures import ADAPTIVE_CARDS, CARD, PARAMETERS, posted
from alert_pictures import card_of as card

from simulator.mail import payload
from simulator.rules import RULES, SUMMARY, Event, Rule, alert_of

RULE = {rule.name: rule for rule in (*RULES, SUMMARY)}
ALERT = "/subscriptions/11111111-1111-4111-8111-111111111111/providers/Microsoft.AlertsManagement/alerts/aa?b=c&d"
FIRED = datetime(2026, 11, 24, 8, 15, 3, tzinfo=UTC)
VERSION = "1.4"
"""Workflows in Teams show cards of this version, in all of its clients, on phones too.
https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-reference#support-for-adaptive-cards"""

HOSTILE = [
    '"}, {"type": "TextBlock", "text": "gotcha"',
    "[Renew here](https://evil.example/?a=1) ![x](https://evil.example/x.png)",
    "**bold** _it_ # heading\n- list",
    "<img src=https://evil.example/x.png onerror=alert(1)><script>alert(1)</script>",
    "@{triggerBody()} @triggerBody() @@",
    "{{DATE(2026-01-01T00:00:00Z)}} ${name}",
    "\\ \" ' \u202e \u0000",
    "x" * 512,
]


def notification(rule: Rule, *, state: str = "Fired", **dimensions: str) -> dict[str, Any]:
    """Return what Azure sends of a log alert of the deployed rule."""
    properties = (("Subject", rule.subject), ("Runbook", "https://docs/run#book"))
    rule = rule._replace(
        name=f"contoso-{rule.name}", description="What the rule says. https://docs/page", properties=properties
    )
    values = [dimensions.get(name, f"the {name}") for name in rule.dimensions]
    alert = payload(rule, Event(state.lower(), alert_of(rule, values), FIRED, FIRED))
    alert["data"]["essentials"]["alertId"] = ALERT
    return alert


def disabled() -> dict[str, Any]:
    """What Azure sends of an activity log alert, which has no condition, no dimensions and no properties of ours."""
    alert = notification(RULE["check_silent"])
    alert["data"]["essentials"] |= {
        "severity": "Sev4",
        "signalType": "Activity Log",
        "alertRule": "contoso-rule_disabled",
    }
    del alert["data"]["customProperties"]
    alert["data"]["alertContext"] = {"operationName": "Microsoft.Insights/scheduledQueryRules/disable/action"}
    return alert


def elements(value: Any) -> list[dict[str, Any]]:
    """Everything in a card that has a type."""
    if isinstance(value, list):
        return [one for item in value for one in elements(item)]
    if not isinstance(value, dict):
        return []
    return ([value] if "type" in value else []) + elements(list(value.values()))


def texts(value: Any) -> list[str]:
    return [one["text"] for one in elements(value) if "text" in one]


STORIES = {
    **{rule.name: notification(rule) for rule in RULE.values()},
    "resolved": notification(RULE["token_critical"], state="Resolved"),
    "disabled": disabled(),
    **{
        f"hostile {n}": notification(RULE["token_critical"], TokenName=text, Condition=text)
        for n, text in enumerate(HOSTILE)
    },
}


def problems(content: dict[str, Any]) -> list[str]:
    schema = resources.files("adaptive_cards") / "schemas" / f"schema-{VERSION}.json"
    validator = jsonschema.validators.validator_for(found := json.loads(schema.read_text("utf-8")))(found)
    return [error.message for error in validator.iter_errors(content)]


@pytest.mark.parametrize("story", STORIES)
def test_a_card_is_valid_of_the_version_that_teams_shows_and_small_enough(story):
    content = card(STORIES[story])
    assert content["version"] == VERSION
    assert problems(content) == []
    assert (
        len(json.dumps(content).encode()) < 28_000
    )  # https://learn.microsoft.com/microsoftteams/limits-specifications-teams


def test_the_schema_finds_what_is_wrong():
    content = card(STORIES["token_critical"])
    assert problems(content | {"actions": [{"type": "Action.OpenUrl", "title": "No address"}]}) != []
    assert problems(content | {"body": [{"type": "TextBox"}]}) != []


def test_a_card_says_what_which_and_what_to_do():
    alert = notification(
        RULE["token_critical"], TokenName="Contoso Retail", Condition="X: expired", Action="Renew the token."
    )
    shown = texts(card(alert))
    assert shown[0] == "Critical: X: expired (Fired)"
    assert shown[1] == "Fired 2026-11-24 08:15 UTC · contoso-token_critical"
    names = dict(zip(shown[2:-1:2], shown[3:-1:2], strict=True))
    others = [name for name in RULE["token_critical"].dimensions if not name.startswith("Token")]
    assert list(names) == ["Token", "Token id", *others]
    assert (names["Token"], names["Action"]) == ("Contoso Retail", "Renew the token.")
    assert shown[-1] == "What the rule says. https://docs/page"


@pytest.mark.parametrize(
    ("story", "style"),
    [
        ("token_critical", "attention"),
        ("check_silent", "attention"),
        ("token_warning", "warning"),
        ("resolved", "good"),
        ("disabled", "warning"),
        ("summary", "accent"),
    ],
)
def test_the_color_is_that_of_severity_and_state(story, style):
    assert card(STORIES[story])["body"][0]["style"] == style


def test_the_links_lead_to_the_alert_and_to_the_runbook():
    alert, runbook = card(STORIES["token_critical"])["actions"]
    assert alert["url"] == (
        "https://portal.azure.us/#blade/Microsoft_Azure_Monitoring/AlertDetailsTemplateBlade/alertId/"
        "%2Fsubscriptions%2F11111111-1111-4111-8111-111111111111%2Fproviders%2FMicrosoft.AlertsManagement%2Falerts%2F"
        "aa%3Fb%3Dc%26d"
    )
    assert runbook["url"] == "https://docs/run#book"
    assert card(disabled())["actions"][1]["url"] == "https://docs/docs/operations.md"


def test_the_custom_properties_can_be_at_either_place_of_the_payload():
    alert = notification(RULE["token_critical"])
    other = notification(RULE["token_critical"])
    del alert["data"]["customProperties"], other["data"]["alertContext"]["properties"]
    assert card(alert) == card(other) == card(notification(RULE["token_critical"]))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_name_stays_text(text):
    """It changes no structure; and no element of the card has Markdown."""
    hostile, plain = (
        card(notification(RULE["token_critical"], TokenName=name, Condition=f"{name}: expired", Action=name))
        for name in (text, "Contoso Retail")
    )
    assert texts(hostile).count(text) == 2
    assert json.loads(json.dumps(plain).replace("Contoso Retail", json.dumps(text)[1:-1])) == hostile
    assert {one["type"] for one in elements(hostile)} & {"TextBlock", "FactSet", "Input.Text", "Table"} == set()


def test_the_address_of_the_workflow_is_kept_out_of_the_run_history():
    post = CARD["actions"]["post"]
    assert CARD["parameters"]["webhook"] == {"type": "SecureString"}
    assert post["runtimeConfiguration"] == {"secureData": {"properties": ["inputs"]}}
    assert (posted(disabled())["method"], posted(disabled())["uri"]) == ("POST", PARAMETERS["webhook"])


RENDER = """
(content => {
  const shown = new AdaptiveCards.AdaptiveCard(), context = new AdaptiveCards.SerializationContext();
  const markdown = [];
  AdaptiveCards.AdaptiveCard.onProcessMarkdown = text => { markdown.push(text); };
  shown.parse(content, context);
  document.body.replaceChildren(shown.render());
  return JSON.stringify({
    markdown,
    events: Array.from({length: context.eventCount}, (_, index) => context.getEventAt(index).message),
    text: document.body.innerText,
    tags: [...new Set([...document.body.querySelectorAll("*")].map(one => one.localName))],
    buttons: [...document.body.querySelectorAll("button")].map(one => one.innerText),
  });
})"""


@chromium.needed
async def test_a_client_shows_the_card_as_text_with_two_links(tmp_path):
    script = ADAPTIVE_CARDS.read_text("utf-8")
    page_file = tmp_path / "card.html"
    page_file.write_text("<!doctype html><meta charset=utf-8><title>Card</title>", "utf-8")
    async with chromium.browser() as page:
        await page.open(page_file, width=600, height=700)
        await page.call("Emulation.setScriptExecutionDisabled", value=False)
        await page.call("Runtime.evaluate", expression=script)
        for story, told in STORIES.items():
            content = card(told)
            shown = json.loads(await page.value(f"{RENDER}({json.dumps(content)})"))
            assert (shown["events"], shown["markdown"]) == ([], []), story
            assert shown["buttons"] == ["Open the alert", "What to do"]
            assert set(shown["tags"]) <= {"div", "span", "button", "br"}, story
            visible = "".join(shown["text"].split())
            for text in texts(content):
                if "{{" not in text and "\0" not in text:
                    assert "".join(text.split()) in visible, story
        assert page.requests == [page_file.as_uri()]
