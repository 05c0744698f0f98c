# ruff: noqa: INP001 - imported by docs.generate; docs/ is no package of the app
"""Writes docs/alerts.md from the guidance catalogue: what each finding means, who resolves it, and how."""

from collections.abc import Iterator
from typing import Final

from docs.markdown import escaped, table
from shared.clouds import CLOUDS
from shared.guidance.catalogue import CATALOGUE, Entry, Severity, Step, SyncCode, Topic, with_defaults
from shared.guidance.guidance import Guidance
from shared.judging.steps import CAUSES
from shared.model.tokens import Code, Connector, Token

_KEYS: Final = {source: key for key, source in CATALOGUE.sources.items()}
_NAMES: Final = {Connector.ADE: "ADE token", Connector.APNS: "Push certificate", Connector.VPP: "VPP token"}

_INTRODUCTION: Final = """\
# Alerts: every finding

<!-- Written by `make docs` from shared/guidance/guidance.json; do not edit. -->

Each alert names a token, a finding, and an action. This page explains each finding. If an alert just arrived, start with \
[operations.md](operations.md).

- `critical` and `warning` raise an alert, and so does `unknown`, except `unread`, which is raised once for its connector, or once for all inspections of devices. `info` raises no alert.
- A finding that begins under another finding that explains it raises no alert until that one is gone. An alert that is open stays open when a cause appears.
- **Resolved means over.** An alert resolves by itself after the condition that its subject names is over, and not when the token gets worse. Checks run every hour, so this takes at most about an hour and a half after the event named under *Clears*.
- A finding that gets worse or lasts reaches further [steps](#steps). Each step is an alert of its own, and all of them resolve together.
- The end of a report about an event (`removed`, `push_topic_changed`, `apple_id_changed`, `devices_dropped`) is no repair: its subject names the day until which the event is reported.
- When an expiry date moves later, the history records *renewed*. This is never a finding.
- **Don't delete a token to resolve a finding.** Devices would leave ADE management, and VPP apps would lose their assignments.
- **Don't create a new push certificate.** Renew the existing one with the same Apple Account.
- Each step names the role that it takes and its [source](#sources). Where Apple Business and Apple School Manager differ, alerts and commands choose the wording by the type of the token; this page gives both.
"""  # noqa: E501 - one line a paragraph

_STEPS: Final = """\
<a id="steps"></a>

## Steps

| finding | steps, each one alert | all of them resolve when |
| --- | --- | --- |
| `expiring` | each limit that is crossed while the monitor watches: a token that is first seen with five days left has the step of 7 days only, and so has one that crosses several limits between two checks | the expiry moves to a later day, also if the token has expired in the meantime. Steps that still hold begin again with the new date. An expiry that moves earlier adds a step. |
| `expired` | the expiry, and every 30 days after it; twelve in all | the expiry lies ahead again |
| `sync_stale` | the warning limit and the critical limit | a sync succeeds |
| `sync_error` | its beginning; for ADE, `SYNC_ERROR_CRITICAL_HOURS`; a stale sync | a sync ends without an error; another error code changes nothing |
| all others | its beginning | the finding clears |

A finding that lasts is raised again 30 days after its latest step, at most twelve times: Azure removes a fired alert from \
view after 30 days and doesn't notify again. The name of the token, the condition, and the action of an alert don't change \
while it is open, even if the token is renamed or gets another error code.

By default, a token has up to five steps before its expiry and twelve after it. A renewal therefore sends up to **5** emails \
that say *Resolved* if the token is renewed in time, and up to **17** if it had expired for almost a year.

A finding that becomes less severe resolves nothing either. If most enrolled devices no longer show a policy, \
`devices_without_profile` becomes `info`, because a missing policy then proves nothing; its alert stays open until no device waits.

### While the monitor can't read or store

Nothing resolves, and steps continue to be added as far as they are known:

| what fails | new steps |
| --- | --- |
| a connector can't be read | The clock adds the steps of an expiry and the repetition after 30 days. The limits of `sync_stale` and `sync_error` wait, because a sync may have succeeded in the meantime. |
| a run ends before it has sent everything | The steps that it sent and stored are raised. |
| Table Storage can't be read or written | New steps wait (`CausedBy` is `not_stored`) until a check stores them, those of the clock too, and `check_failing` for `all` reports the outage. The name, the date, and the number of a step come from what is stored. A step that is raised before it is stored could differ from the one that the next check stores, for example because the next limit has been crossed by then, and would resolve while its condition lasts. |

After two days without a complete check, alerts follow what the last two days' checks found, and steps that could not be stored are raised, too.
"""  # noqa: E501 - one line a table row

_CAUSES: Final = """\
<a id="causes"></a>

## What explains what

A finding that begins while its cause holds raises no alert until the cause is gone. A finding that has already raised \
an alert keeps it. The first cause that holds is the one that is shown.
"""

_MAIL: Final = """\
<a id="mail"></a>

## What you receive

The subject starts with the severity, the token, and the condition, and ends with Azure's own condition: *Fired* or *Resolved*. \
For a name of up to 20 characters, a phone shows all three. In the subject, the middle of a name of more than 30 characters is left out, \
so that an expiry date stays visible. Azure can only put complete dimensions into a subject, so the dimension `Condition` begins \
with this name; `TokenName` contains the complete name, and the column `Condition` the condition alone. \
Names have links and GUIDs broken up by spaces, so that no one can send you a link in the name of a token.

For each rule, Azure fires at most 300 alerts at a time, and drops the others without notice. With more than 100 tokens, \
[group alerts by connector](deployment.md#one-alert-for-each-token-or-for-each-connector): the subject is then, for example, \
*Critical: ade tokens: expiring, 7 days or less (Fired)*, and such an alert resolves with its last token.

![An email of an alert: its subject, the rule's description, and the dimensions TokenName, TokenId, Connector, Finding, Condition, and Action](images/alert-mail.png)

With the parameter [`teamsWebhook`](deployment.md#who-is-notified), a card with the same content is posted to a channel or chat in Teams:

![A card in Teams: the subject, when the alert fired, the dimensions, the rule's description, and two buttons, Open the alert and What to do](images/alert-card.png)

Both pictures are approximations: their content is what the rule sends in the common alert schema; the layouts of Azure and Teams differ.
"""  # noqa: E501 - one line a paragraph

_MONITOR: Final = """\
<a id="monitor"></a>

## The monitor's own alerts

These alerts are about the monitor. The first three come from query rules like the others; `rule_disabled` is an activity log alert that Azure itself raises.

| alert | what it means | what to do |
| --- | --- | --- |
| `check_failing` | One part of the check has failed for half an hour or longer. `Connector` names it: `ade`, `apns`, or `vpp` (could not be read), `devices` (not inspected), `all` (not stored or not published). | Read the column `Error` of the newest row of `AppleTokenRun_CL` with `Outcome` `failed`: it names the reason and the remedy. `python -m cli runs` shows it, and so does the workbook under *Failures*. Most often the Graph role is missing: `infra/grant-graph-role.sh` grants it. For `devices`, the row names the token with the oldest inspection, and [`DeviceInspection`](tables.md#deviceinspection) holds the failure of each token (`Error`). If nothing was ever inspected, verify that `inspect_devices` runs. |
| `check_silent` | No check has completed for more than four hours. | Run `python -m cli doctor`. Without it, open the function app in the portal, verify that it runs, and read *Invocations* of `check_tokens`. Restart the app. If you just deployed it, verify that you also deployed the code. |
| `summary` | A sign of life, once a week: how many tokens there are by health, the three that expire next, and how many checks of the last 48 hours were complete. It is informational (severity 4), has no state, and never resolves. | Nothing. When a week brings none, run `python -m cli doctor`. |
| `rule_disabled` | Azure has disabled one of the alert rules, which it does when a query fails for a week. | Open the rule under *Monitor > Alerts > Alert rules*, run its query to read the error, correct it (deploy again), and enable the rule. |

While a check fails or is silent, alerts about tokens stay as they are for two days: open alerts stay open, and no new alert is raised.
"""  # noqa: E501 - one line a paragraph

_DEVICES: Final = """\
<a id="devices"></a>

## Findings about devices

A token can be healthy while its devices are not. `inspect_devices` counts each ADE token's devices every \
{INSPECT_EVERY_HOURS} hours by default (`INSPECT_EVERY_HOURS`); every check evaluates the counts of the last complete \
inspection. A limit that you change applies at the next check, and a correction shows after the next inspection. With \
`INSPECT_EVERY_HOURS` = 0, inspections run at minute 37 of every hour.

| finding | what is counted | default limit | at night |
| --- | --- | --- | --- |
| [`devices_without_profile`](#devices_without_profile) | Devices without an enrollment policy, not enrolled, in the list for more than a day | `DEVICES_WITHOUT_PROFILE_MINIMUM` ({DEVICES_WITHOUT_PROFILE_MINIMUM}) | It can wait. A device that is set up in the meantime is not managed and must be wiped, so if devices are handed out before the morning, assign the policy now. |
| [`enrollment_failing`](#enrollment_failing) | Devices whose enrollment failed or is blocked | both `ENROLLMENT_FAILING_MINIMUM` ({ENROLLMENT_FAILING_MINIMUM}) and `ENROLLMENT_FAILING_PERCENT` ({ENROLLMENT_FAILING_PERCENT} percent of the devices) | It can wait. During a rollout, stop handing out devices until you know the reason. |
| [`devices_missing`](#devices_missing) | The token's own count of devices, compared with the list | a difference of more than 10 and of more than a tenth, for more than 7 days | It can wait: the finding appears after a week. |
| [`no_default_profile`](#no_default_profile) | Platforms that the token has devices of, and no default policy for | one | It raises no alert. |

Enrolled devices continue to work under all four findings. The finding's summary has the most important numbers; \
[`DeviceInspection`](tables.md#deviceinspection) has all of them and some serial numbers. Graph doesn't report how many \
devices Apple has for the device management service, or what Apple did with a policy: compare with Apple Business or \
Apple School Manager.

If devices were not inspected for 48 hours, their findings stay as they are, the token gains `unread`, and \
`check_failing` fires once for all of them, with `Connector` `devices`.
"""  # noqa: E501 - one line a paragraph

_SYNC_ERRORS: Final = """\
<a id="sync-errors"></a>

## Sync errors

An ADE token's last sync ends with a number, `lastSyncErrorCode`. Graph doesn't document the numbers; the Intune \
admin center shows words. No public source connects the words with the numbers, except for 0 and 3. The monitor shows \
an unknown number as "Sync error (code N)" and never guesses.

### What is known about the numbers
"""

_NAMING: Final = """\
<a id="sync-error-names"></a>

### Naming a number: SYNC_ERROR_NAMES

When the Intune admin center shows you what a number means, set `SYNC_ERROR_NAMES`, for example to \
`5=Access denied;9=Invalid cursor`. You don't need a new release.

- A name that equals the title of an error below, or one of its other names, selects that error's meaning, steps, and \
action. Case and surrounding spaces don't matter.
- Any other name is shown next to the number and changes nothing else.
- A name changes the action of alerts to come. An alert that is open keeps its action.

### What the Intune admin center can show
"""


def alerts() -> str:
    """Return the text of docs/alerts.md."""
    devices = with_defaults(_DEVICES)
    overview = (_INTRODUCTION, _consoles(), *_contents(), _STEPS, _MAIL, *_causes(), _MONITOR, devices)
    return "\n".join((*overview, *_findings(), *_sync_errors(), *_sources()))


def _consoles() -> str:
    public, *others = CLOUDS.items()
    consoles = " and ".join(f"<{cloud.intune}> for `{name}`" for name, cloud in others)
    return f"The links here lead to <{public[1].intune}>. Alerts and commands use {consoles} (`AZURE_CLOUD`).\n"


def _contents() -> Iterator[str]:
    yield table(
        ("finding", "what it is", "of", "severity"),
        (
            (
                f"[`{code}`](#{code})",
                escaped(topic.title),
                ", ".join(connector.value for connector in topic.entries),
                ", ".join(dict.fromkeys(severity.severity for severity in topic.severities)),
            )
            for code, topic in CATALOGUE.findings.items()
        ),
    )


def _causes() -> Iterator[str]:
    yield _CAUSES
    yield table(
        ("finding", "explained by", "because"),
        (
            (f"[`{code}`](#{code})", f"[`{cause}`](#{cause})", escaped(reason))
            for code, reasons in CAUSES.items()
            for cause, reason in reasons.items()
        ),
    )


def _findings() -> Iterator[str]:
    for code, topic in CATALOGUE.findings.items():
        yield f'<a id="{code}"></a>\n\n## {escaped(topic.title)}: `{code}`\n'
        yield f"**Holds when:** {escaped(topic.holds)}\n"
        yield table(("of", "severity", "when"), map(_severity, topic.severities))
        yield from _entries(code, topic)


def _severity(severity: Severity) -> tuple[str, str, str]:
    return ", ".join(connector.value for connector in severity.connectors), severity.severity, escaped(severity.when)


def _entries(code: str, topic: Topic) -> Iterator[str]:
    for connector in topic.entries:
        entry = Guidance().entry(code, connector)
        yield f"### {_NAMES[connector]}: {escaped(entry.title)}\n"
        yield from _entry(entry)
        if code == Code.SYNC_ERROR and connector is Connector.ADE:
            yield "See also [Sync errors](#sync-errors).\n"


def _entry(entry: Entry) -> Iterator[str]:
    later = "".join(f"\n- **Action, from tier {tier}:** {escaped(action)}" for tier, action in entry.actions.items())
    yield (
        f"- **Action:** {escaped(entry.action)}{later}\n"
        f"- **Meaning:** {escaped(entry.meaning)}\n"
        f"- **Likely cause:** {escaped(entry.cause)}\n"
        f"- **Where:** [{escaped(entry.place)}]({entry.link})\n"
        f"- **Clears:** {escaped(entry.clears)}\n"
    )
    yield table(
        ("step", "do", "role", "source"),
        (
            (str(number), escaped(step.text), escaped(step.role), _source(step))
            for number, step in enumerate(entry.steps, start=1)
        ),
    )


def _source(step: Step) -> str:
    key = _KEYS[step.source]
    return f"[{key}](#source-{key})"


def _sync_errors() -> Iterator[str]:
    yield _SYNC_ERRORS
    yield table(("code", "meaning", "evidence", "source"), map(_sync_code, CATALOGUE.sync_codes))
    yield "Nothing is known about any other number; the number is shown.\n"
    yield _NAMING
    for key, error in CATALOGUE.sync_errors.items():
        yield f'<a id="{key}"></a>\n\n#### {escaped(error.title)}\n'
        if error.aliases:
            yield f"Other names: {', '.join(f'`{alias}`' for alias in error.aliases)}\n"
        named = Token(connector=Connector.ADE, id="", name="", sync_error_code=1)
        yield from _entry(Guidance({1: error.title}).entry(Code.SYNC_ERROR, Connector.ADE, named))


def _sync_code(code: SyncCode) -> tuple[str, str, str, str]:
    meaning = escaped(code.meaning) + (f" See [the error](#{code.error})." if code.error else "")
    return str(code.code), meaning, code.evidence, escaped(code.source)


def _sources() -> Iterator[str]:
    yield '<a id="sources"></a>\n\n## Sources\n'
    yield "Unless the note says otherwise, the steps agreed with these pages on the date given.\n"
    yield table(
        ("source", "page", "checked", "note"),
        (
            (
                f'<a id="source-{key}"></a>{key}',
                f"[{escaped(one.title)}]({one.url})",
                str(one.checked),
                escaped(one.note),
            )
            for key, one in CATALOGUE.sources.items()
        ),
    )
