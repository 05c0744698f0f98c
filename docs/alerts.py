# ruff: noqa: INP001 - imported by docs.generate; docs/ is no package of the app
"""docs/alerts.md: what each finding means and who mends it how, from the guidance catalogue."""

from collections.abc import Iterator
from typing import Final

from docs.markdown import escaped, table
from shared.catalogue import CATALOGUE, Entry, Severity, SyncCode, Topic
from shared.guidance import Guidance
from shared.steps import CAUSES
from shared.tokens import Code, Connector, Token

_NAMES: Final = {Connector.ADE: "ADE token", Connector.APNS: "Push certificate", Connector.VPP: "VPP token"}

_INTRODUCTION: Final = """\
# Alerts: every finding

<!-- Written by `make docs` from shared/guidance.json; do not edit. -->

Each alert names a token, a finding and an action. Look the finding up here. Just woken? Begin with \
[operations.md](operations.md).

- `critical` and `warning` raise an alert, and so does `unknown`, except `unread`, which is told once for its connector, or once for all inspections of devices. `info` raises none.
- A finding that another one causes raises no alert of its own.
- An alert resolves itself once the finding is gone: checks run every hour, so within about an hour and a half of what is said under *Clears*.
- An expiry that moves later is recorded in the history as *renewed*; it is never a finding.
- **Never delete a token to mend it.** Devices would leave ADE management, and VPP apps would lose their assignments.
- **Never create a push certificate anew.** Renew it with the same Apple ID.
"""  # noqa: E501 - one line a paragraph

_CAUSES: Final = """\
<a id="causes"></a>

## What explains what

A finding that begins while its cause holds raises no alert until the cause is gone. A finding that has already raised \
an alert keeps it. The first cause that holds is the one that is shown.
"""

_MONITOR: Final = """\
<a id="monitor"></a>

## The monitor's own alerts

These name no token. The first two are query rules like the others; the third is an activity log alert, and Azure itself raises it.

| alert | what it says | do |
| --- | --- | --- |
| `check_failing` | One part of the check has failed for half an hour or longer. `Connector` says which: `ade`, `apns` or `vpp` (could not be read), `devices` (not inspected), `all` (not stored or not published). | The column `Error` of the newest row of `AppleTokenRun_CL` with `Outcome` `failed` says why and what mends it; `python -m cli runs` shows it, and the workbook under *Failures*. Most often the Graph role is missing: `infra/grant-graph-role.sh` grants it. For `devices` it names the token that was not inspected for the longest, and [`DeviceInspection`](tables.md#deviceinspection) says of each token what failed (`Error`); where nothing was ever inspected, see whether `inspect_devices` runs. |
| `check_silent` | No check has come to its end for more than four hours. | `python -m cli doctor` says why. Without it, open the function app in the portal: is it running, and what do *Invocations* of `check_tokens` say? Restart it. If it was just deployed: was the code deployed, too? |
| `rule_disabled` | Azure has disabled one of the alert rules, which it does when a query fails for a week. | Open the rule under *Monitor, Alerts, Alert rules*, run its query to see the error, mend it (deploy again), and enable the rule. |

While a check fails or is silent, alerts about tokens stay as they are for two days: what is open stays open, and nothing new is told.
"""  # noqa: E501 - one line a paragraph

_DEVICES: Final = """\
<a id="devices"></a>

## Findings about devices

A token can look fine while its devices do not. `inspect_devices` looks at each ADE token's devices once a day \
(`INSPECT_EVERY_HOURS`) and counts; every check judges what the last complete inspection counted. So a limit that is \
moved works at the next check, and what is mended shows after the next inspection. `INSPECT_EVERY_HOURS` = 0 inspects \
at minute 37 of every hour, if you want to know sooner.

| finding | what is counted | limit | at night |
| --- | --- | --- | --- |
| [`devices_without_profile`](#devices_without_profile) | Devices without an enrollment profile, not enrolled, in the list for more than a day | `DEVICES_WITHOUT_PROFILE_MINIMUM` (1) | It can wait. A device that is set up meanwhile is not managed and has to be reset, so if some are handed out before the morning, assign the profile now. |
| [`enrollment_failing`](#enrollment_failing) | Devices whose enrollment failed or is blocked | both `ENROLLMENT_FAILING_MINIMUM` (3) and `ENROLLMENT_FAILING_PERCENT` (5 percent of the devices) | It can wait. In the middle of a rollout, stop handing out devices until the reason is known. |
| [`devices_missing`](#devices_missing) | The token's own count of devices against the list | apart by more than 10 and by more than a tenth, for more than 7 days | It can wait: it took a week to tell. |
| [`no_default_profile`](#no_default_profile) | Platforms that the token has devices of, and no default profile for | one | It raises no alert. |

Devices that are enrolled go on working under all four. The numbers stand in the finding's sentence, and more of them, \
with some serial numbers to start with, in [`DeviceInspection`](tables.md#deviceinspection). How many devices Apple has \
for the MDM server, and what Apple did with a profile, Graph does not tell: compare with Apple Business or School Manager.

Where devices were not inspected for 48 hours, their findings stay as they are, the token gains `unread`, and \
`check_failing` fires once for all of them, with `Connector` `devices`.
"""  # noqa: E501 - one line a paragraph

_SYNC_ERRORS: Final = """\
<a id="sync-errors"></a>

## Sync errors

An ADE token's last sync ends with a number, `lastSyncErrorCode`. Graph does not say what the numbers mean; the Intune \
console shows words. Nothing public ties the words to the numbers, except for 0 and 3. So an unknown number is shown \
as "Sync error (code N)" and never guessed.

### What is known of the numbers
"""

_NAMING: Final = """\
<a id="sync-error-names"></a>

### Naming a number: SYNC_ERROR_NAMES

When the console has told you what a number means, set `SYNC_ERROR_NAMES`, for instance to \
`5=Access denied;9=Invalid cursor`. No release is needed.

- A name that equals the title of an error below, or one of its other names, brings that error's meaning, steps and \
action. Capitals and surrounding spaces do not matter.
- Any other name is shown beside the number, and changes nothing else.
- A name changes the action, and an action is part of an alert's identity: open alerts of that number resolve and are \
told again, once.

### What the console can show
"""


def alerts() -> str:
    """The text of docs/alerts.md."""
    return "\n".join((_INTRODUCTION, *_contents(), *_causes(), _MONITOR, _DEVICES, *_findings(), *_sync_errors()))


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
    source = f"<{entry.source}>" if entry.source.startswith("https://") else escaped(entry.source)
    yield (
        f"- **Action:** {escaped(entry.action)}{later}\n"
        f"- **Meaning:** {escaped(entry.meaning)}\n"
        f"- **Likely cause:** {escaped(entry.cause)}\n"
        f"- **Where:** [{escaped(entry.place)}]({entry.link})\n"
        f"- **Clears:** {escaped(entry.clears)}\n"
        f"- **Source:** {source}\n"
    )
    yield table(
        ("step", "do", "role"),
        ((str(number), escaped(step.text), escaped(step.role)) for number, step in enumerate(entry.steps, start=1)),
    )


def _sync_errors() -> Iterator[str]:
    yield _SYNC_ERRORS
    yield table(("code", "meaning", "evidence", "source"), map(_sync_code, CATALOGUE.sync_codes))
    yield "Any other number: nothing is known, and the number is shown.\n"
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


# ---------------------------------------------------------------- settings
