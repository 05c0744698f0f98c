# ruff: noqa: E501 - one case a line: a table reads better than wrapped calls
"""What people read about a finding, a token and a change: `shared/guidance/guidance.py`, its data file, and docs/alerts.md.

`python -m tests.unit.test_guidance` writes `actions.json` anew: the way to accept another wording of an action.
"""

import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import shared
from docs import generate, markdown
from shared.clouds import CLOUDS
from shared.guidance.catalogue import CATALOGUE, with_defaults
from shared.guidance.changes import sentence
from shared.guidance.guidance import Guidance
from shared.model.tokens import Change, Code, Connector, FieldChange, Finding, FindingState, Health, Token
from tests.unit.builders import a_status
from tests.unit.strategies import statuses
from tests.unit.terms import ADE, APNS, NOW, VPP

ROOT = Path(__file__).parents[2]
ACTIONS = Path(__file__).with_name("actions.json")
TEXTS = (ROOT / "shared" / "guidance" / "guidance.json").read_text("utf-8")

CONNECTORS = {
    Code.EXPIRED: {ADE, APNS, VPP},
    Code.EXPIRING: {ADE, APNS, VPP},
    Code.TERMS_NOT_ACCEPTED: {ADE},
    Code.SYNC_ERROR: {ADE, VPP},
    Code.SYNC_STALE: {ADE, VPP},
    Code.NEVER_SYNCED: {ADE, VPP},
    Code.NOT_SET_UP: {ADE},
    Code.INVALID: {APNS, VPP},
    Code.DUPLICATE_LOCATION: {VPP},
    Code.UNREADABLE: {ADE, APNS, VPP},
    Code.UNREAD: {ADE, APNS, VPP},
    Code.REMOVED: {ADE, APNS, VPP},
    Code.APPLE_ID_CHANGED: {ADE, APNS, VPP},
    Code.PUSH_TOPIC_CHANGED: {APNS},
    Code.DEVICES_DROPPED: {ADE},
    Code.DEVICES_WITHOUT_PROFILE: {ADE},
    Code.ENROLLMENT_FAILING: {ADE},
    Code.DEVICES_MISSING: {ADE},
    Code.NO_DEFAULT_PROFILE: {ADE},
}
PAIRS = [(code, connector) for code, connectors in CONNECTORS.items() for connector in sorted(connectors)]
TYPES = {ADE: ("dep", "appleSchoolManager", "none"), APNS: ("apns",), VPP: ("business", "education")}
TIERS = {Code.EXPIRED: ("0", "30", "60"), Code.EXPIRING: ("60", "30", "14", "7", "1")}
TITLES = [error.title for error in CATALOGUE.sync_errors.values()]

FACTS: dict[str, dict[str, str | int | bool | None]] = {
    Code.SYNC_ERROR: {"code": 7},
    Code.INVALID: {"state": "invalid", "reason": "The certificate does not match the request."},
    Code.UNREADABLE: {"tokenExpirationDateTime": "missing"},
    Code.UNREAD: {"reason": "missing from the list"},
    Code.APPLE_ID_CHANGED: {"old": "old@contoso.com", "new": "new@contoso.com"},
    Code.PUSH_TOPIC_CHANGED: {"old": "com.apple.mgmt.1", "new": "com.apple.mgmt.2", "old_serial": "0A1B"},
    Code.DEVICES_DROPPED: {"before": 40, "now": 3},
    Code.DEVICES_WITHOUT_PROFILE: {
        "waiting": 3,
        "without_profile": 5,
        "devices": 40,
        "inspected": "2026-11-23 04:37 UTC",
    },
    Code.ENROLLMENT_FAILING: {
        "failing": 5,
        "failed": 3,
        "blocked": 2,
        "devices": 40,
        "inspected": "2026-11-23 04:37 UTC",
    },
    Code.DEVICES_MISSING: {"synced": 90, "devices": 40, "deleted": 2, "imported": 0, "since": "2026-11-10"},
    Code.NO_DEFAULT_PROFILE: {"platforms": "ios, macOS", "profiles": 2, "inspected": "2026-11-23 04:37 UTC"},
}
"""What the judgement says of a finding."""


def a_token(connector=ADE, **fields):
    return Token(**{"connector": connector, "id": "1234", "name": "Contoso", "type": TYPES[connector][0]} | fields)


def a_finding(code, **fields):
    facts = FACTS.get(code, {})
    return Finding(
        **{"code": code, "severity": Health.CRITICAL, "since": NOW - timedelta(days=3), "facts": facts} | fields
    )


def summary(token, *findings, guidance=None, **fields):
    return (guidance or Guidance()).summary(a_status(token, *findings, **fields), findings[0])


def frozen_actions():
    """Every action that can be an alert's, by `connector/code/tier/sync code/type`."""
    actions = {}

    def add(guidance, token, code, tier, said):
        finding = a_finding(code, tier=tier)
        actions[f"{token.connector}/{code}/{tier or 'none'}/{said}/{token.type}"] = guidance.action(token, finding)

    for code, connector in PAIRS:
        for kind in TYPES[connector]:
            for tier in TIERS.get(code, (None,)):
                if (code, connector) != (Code.SYNC_ERROR, ADE):
                    add(Guidance(), a_token(connector, type=kind), code, tier, "none")
    for kind in TYPES[ADE]:
        for number in (None, 1, 2, 4, 5, -1):
            token = a_token(type=kind, sync_error_code=number)
            add(Guidance(), token, Code.SYNC_ERROR, None, "none" if number is None else number)
        for name in (*TITLES, "Something else"):
            token = a_token(type=kind, sync_error_code=5)
            add(Guidance({5: name}), token, Code.SYNC_ERROR, None, f"5={name}")
    for connector in Connector:
        add(Guidance(), a_token(connector), "of_a_later_release", None, "none")
    return actions


# The catalogue


def test_every_finding_has_an_entry_for_each_connector_that_can_have_it_and_for_no_other():
    assert set(CONNECTORS) == set(Code), "name the connectors of a new finding in CONNECTORS"
    assert {code: set(topic.entries) for code, topic in CATALOGUE.findings.items()} == CONNECTORS, (
        "every code of tokens.Code has an entry in shared/guidance/guidance.json for each connector that it applies to"
    )
    severities = {code: topic.severities for code, topic in CATALOGUE.findings.items()}
    assert {code: {one for each in some for one in each.connectors} for code, some in severities.items()} == CONNECTORS


@pytest.mark.parametrize(("code", "connector"), PAIRS)
def test_an_entry_is_whole_and_general_without_a_token(code, connector):
    entry = Guidance().entry(code, connector)
    texts = [entry.title, entry.action, *entry.actions.values(), entry.meaning, entry.cause, entry.clears, *entry.roles]
    texts += [step.text for step in entry.steps]
    assert entry.steps
    assert all(text and "{" not in text for text in texts)
    assert entry.sources


@pytest.mark.parametrize(("cloud", "console"), [
    ("AzureCloud", "https://intune.microsoft.com/#view/"),
    ("AzureUSGovernment", "https://intune.microsoft.us/#view/"),
    ("AzureChinaCloud", "https://intune.microsoftonline.cn/#view/"),
])  # fmt: skip
@pytest.mark.parametrize("connector", Connector)
def test_links_lead_to_the_console_of_the_cloud(connector, cloud, console):
    assert Guidance(cloud=CLOUDS[cloud]).entry(Code.EXPIRED, connector).link.startswith(console)
    assert "intune.microsoft" not in TEXTS, "a link in shared/guidance/guidance.json begins with {intune}"


ROLES = (
    r"Apple (Business|School Manager): (Organization )?Administrator",
    r"Apple Support: Apple (Business Organization|School Manager) Administrator",
    r"Apple Push Certificates Portal: the Apple Account that created the certificate",
    r"Intune: Intune Administrator",
    r"Microsoft Entra: (Intune Administrator|Privileged Role Administrator)",
    r"Azure: (Contributor|Storage Table Data Reader) on ",
)
"""The roles that exist, as the pages of `sources` name them."""


@pytest.mark.parametrize(("code", "connector"), PAIRS)
@pytest.mark.parametrize("school", [True, False, None])
def test_every_step_names_a_role_that_exists_and_the_page_that_it_follows(code, connector, school):
    kinds = {None: None, True: "education" if connector is VPP else "appleSchoolManager", False: TYPES[connector][0]}
    entry = Guidance().entry(code, connector, a_token(connector, type=kinds[school]))
    for step in entry.steps:
        assert re.match("|".join(ROLES), step.role), step.role
        assert step.source in CATALOGUE.sources.values()


@pytest.mark.parametrize(("key", "source"), CATALOGUE.sources.items())
def test_a_source_is_a_page_of_apple_or_microsoft_or_of_this_project(key, source):
    public = re.fullmatch(r"https://(learn\.microsoft\.com|support\.apple\.com)/\S+", source.url)
    assert public or (ROOT / "docs" / source.url).is_file(), key
    assert f'"source": "{key}"' in TEXTS, f"no step follows {key}: remove it"


def outdated(released):
    """Return the sources that were not checked in the year before `released`."""
    year = timedelta(days=365)
    return [key for key, one in CATALOGUE.sources.items() if one.checked < released - year]


def test_every_source_was_checked_in_the_year_before_the_release():
    """The release date is that of the version in CHANGELOG.md; a version that is not released is released today."""
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    (dated,) = re.findall(rf"^## \[{re.escape(shared.__version__)}\] - (\S+)$", changes, re.MULTILINE)
    today = datetime.now(UTC).date()
    released = today if dated == "Unreleased" else date.fromisoformat(dated)
    assert all(source.checked <= today for source in CATALOGUE.sources.values())
    checked = min(source.checked for source in CATALOGUE.sources.values())
    assert [bool(outdated(checked + timedelta(days=days))) for days in (365, 366)] == [False, True]
    assert outdated(released) == [], (
        "compare the steps with these pages, and date them in shared/guidance/guidance.json"
    )


def test_a_limit_named_in_the_texts_is_the_default_of_its_setting():
    written = re.findall(r"\b\d+ [^.()]{0,30}\([A-Z]+(?:_[A-Z]+)+", TEXTS)
    assert written == [], "write {ITS_NAME} for the number in shared/guidance/guidance.json"
    assert with_defaults("{EXPIRY_WARNING_DAYS} days, {SYNC_STALE_WARNING_HOURS} hours") == "60, 30, 14 days, 36 hours"


def test_each_of_the_consoles_errors_has_names_of_its_own():
    assert len(TITLES) == 11
    names = [{name.casefold() for name in (error.title, *error.aliases)} for error in CATALOGUE.sync_errors.values()]
    assert sum(map(len, names)) == len(set().union(*names))


def test_a_meaning_of_a_number_has_its_evidence_beside_it():
    evidence = {code.code: code.evidence for code in CATALOGUE.sync_codes}
    assert evidence == {0: "observed", 1: "none", 2: "none", 3: "reported", 4: "none"}
    assert {code.code for code in CATALOGUE.sync_codes if code.error} == {3}


BUSINESS = {
    ADE: {"Apple Business Organization Administrator", "Devices > Management Services"},
    VPP: {"Apple Business Organization Administrator", "Settings > Payments & Billing > Apps and Books"},
}
SCHOOL = {
    ADE: {"Apple School Manager Administrator", "your name > Preferences > Your MDM servers"},
    VPP: {"Apple School Manager Administrator", "your name > Preferences > Payments & Billing > Content Tokens"},
}


@pytest.mark.parametrize(("connector", "kind", "portals"), [
    (ADE, "dep", (BUSINESS,)),
    (ADE, "appleSchoolManager", (SCHOOL,)),
    (ADE, "none", (BUSINESS, SCHOOL)),
    (ADE, None, (BUSINESS, SCHOOL)),
    (VPP, "business", (BUSINESS,)),
    (VPP, "education", (SCHOOL,)),
    (VPP, "of_a_later_release", (BUSINESS, SCHOOL)),
    (VPP, None, (BUSINESS, SCHOOL)),
])  # fmt: skip
def test_the_type_of_the_token_decides_between_business_and_school_and_another_type_gives_both(
    connector, kind, portals
):
    token = a_token(connector, type=kind)
    steps = Guidance().entry(Code.EXPIRED, connector, token).steps
    wording = " ".join([Guidance().action(token, a_finding(Code.EXPIRED)), *(step.text for step in steps)])
    known = BUSINESS[connector] | SCHOOL[connector]
    assert {part for part in known if part in wording} == set().union(*(portal[connector] for portal in portals))


@pytest.mark.parametrize("code", [Code.EXPIRED, Code.EXPIRING, Code.INVALID, Code.REMOVED])
def test_no_text_asks_to_create_a_push_certificate(code):
    entry = Guidance().entry(code, APNS)
    assert "enew (never create)" in entry.action
    assert any("Never select Create a Certificate" in step.text for step in entry.steps)


# Actions


@pytest.mark.parametrize(("key", "action"), frozen_actions().items())
def test_an_action_is_one_sentence_of_at_most_200_characters_that_names_place_and_role(key, action):
    assert len(action) <= 200, key
    assert action.endswith(".")
    assert not re.search(r"[.!?]\s", action)
    assert "{" not in action
    assert not re.search(r"\d{4}-\d\d|\bago\b|1234|Contoso", action)
    assert "in Intune" in action or "Intune under" in action
    assert re.search(
        r"(?i)\bas (Intune Administrator|Apple (Business Organization|School Manager) Administrator)\b", action
    )


@pytest.mark.parametrize(("code", "connector"), PAIRS)
def test_an_action_stays_the_same_from_run_to_run(code, connector):
    first = a_token(connector, name="A", id="a", expires_on=NOW - timedelta(days=1), sync_error_code=7)
    later = a_token(
        connector, name="B", id="b", expires_on=NOW + timedelta(days=9), last_successful_sync=NOW, sync_error_code=7
    )
    assert Guidance().action(first, a_finding(code)) == Guidance().action(
        later, Finding(code=code, severity=Health.WARNING, since=NOW, until=NOW, caused_by="x", facts={"code": 1})
    )


def test_no_action_is_reworded():
    kept, now = json.loads(ACTIONS.read_text("utf-8")), frozen_actions()
    reworded = [key for key in kept.keys() & now.keys() if kept[key] != now[key]]
    accept = "To accept it, run `.venv/bin/python -m tests.unit.test_guidance` and commit tests/unit/actions.json."
    assert not reworded, (
        f"{len(reworded)} actions are worded anew, such as {reworded[0]}. An open alert keeps its action until it is "
        f"over, and alerts by connector are split by it: a group can have two for that long. {accept}"
    )
    assert kept.keys() == now.keys(), f"These actions came or went: {sorted(kept.keys() ^ now.keys())}. {accept}"


# Sync errors


@pytest.mark.parametrize("number", [1, 2, 4, 5, 99, -1, 2**31 - 1])
def test_an_unknown_code_shows_its_number_and_no_guess(number):
    token = a_token(sync_error_code=number)
    entry = Guidance().entry(Code.SYNC_ERROR, ADE, token)
    assert entry.title == f"Sync error (code {number})"
    assert Guidance().action(token, a_finding(Code.SYNC_ERROR)).startswith(f"Sync error (code {number}): as Intune ")
    assert f"reports Sync error (code {number}), " in summary(token, a_finding(Code.SYNC_ERROR))


@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize("spelled", [str, str.upper, str.lower, "  {}\t".format])
def test_a_name_of_one_of_the_consoles_errors_brings_its_meaning_steps_and_action(title, spelled):
    guidance, token = Guidance({5: spelled(title)}), a_token(sync_error_code=5)
    entry = guidance.entry(Code.SYNC_ERROR, ADE, token)
    written = next(error for error in CATALOGUE.sync_errors.values() if error.title == title)
    assert (entry.title, entry.meaning, len(entry.steps)) == (title, written.meaning, len(written.steps))
    assert guidance.action(token, a_finding(Code.SYNC_ERROR)) == entry.action
    assert "(code 5)" in summary(token, a_finding(Code.SYNC_ERROR), guidance=guidance)
    other = a_token(sync_error_code=6)
    assert guidance.entry(Code.SYNC_ERROR, ADE, other) == Guidance().entry(Code.SYNC_ERROR, ADE, other)


def test_a_name_that_the_catalogue_does_not_know_is_shown_and_no_more():
    guidance, token = Guidance({5: " {manager} moved "}), a_token(sync_error_code=5)
    assert guidance.entry(Code.SYNC_ERROR, ADE, token).title == "Sync error '{manager} moved' (code 5)"
    assert guidance.entry(Code.SYNC_ERROR, ADE, token).steps == Guidance().entry(Code.SYNC_ERROR, ADE, token).steps
    assert "reports Sync error '{manager} moved' (code 5)," in summary(
        token, a_finding("sync_error"), guidance=guidance
    )


def test_a_vpp_token_has_no_code_to_name():
    guidance = Guidance({5: "Access denied"})
    assert guidance.entry(Code.SYNC_ERROR, VPP, a_token(VPP)).title == "Location token failed to sync"


# A probable cause


def test_an_unknown_error_with_a_stale_sync_suggests_a_replaced_token():
    token = a_token(
        sync_error_code=7, expires_on=NOW + timedelta(days=90), last_successful_sync=NOW - timedelta(days=4)
    )
    wording = summary(token, a_finding(Code.SYNC_ERROR), a_finding(Code.SYNC_STALE))
    assert wording.endswith("probably the token was replaced or revoked at Apple (selecting Download Token does that).")


@pytest.mark.parametrize(
    ("last", "wording"),
    [(NOW - timedelta(days=3), False), (NOW - timedelta(days=3) + timedelta(seconds=1), True), (None, False)],
)
def test_a_success_after_the_error_began_suggests_a_wrong_value_in_a_profile(last, wording):
    status = a_status(a_token(sync_error_code=7, last_successful_sync=last), a_finding(Code.SYNC_ERROR))
    assert ("a value in an enrollment policy is wrong" in (Guidance().probable_cause(status) or "")) is wording


@pytest.mark.parametrize(("findings", "names"), [
    ([Code.SYNC_STALE], {}),
    ([Code.SYNC_ERROR], {}),
    ([Code.SYNC_ERROR, Code.SYNC_STALE, Code.EXPIRED], {}),
    ([Code.SYNC_ERROR, Code.SYNC_STALE], {7: "Access denied"}),
    ([Code.SYNC_ERROR, Code.SYNC_STALE], {}),
])  # fmt: skip
def test_nothing_is_suggested_where_something_is_known(findings, names):
    connector = VPP if not names and len(findings) == 2 else ADE
    status = a_status(a_token(connector, sync_error_code=7), *map(a_finding, findings))
    assert Guidance(names).probable_cause(status) is None


# Summaries


@pytest.mark.parametrize(("expires_on", "wording"), [
    (NOW + timedelta(days=1, hours=23), "expires in 1 day, on 2026-11-25"),
    (NOW + timedelta(days=2), "expires in 2 days, on 2026-11-25"),
    (NOW + timedelta(hours=5), "expires in 5 hours, on 2026-11-23"),
    (NOW + timedelta(hours=1), "expires in 1 hour, on 2026-11-23"),
    (NOW + timedelta(minutes=1), "expires in 1 minute, on 2026-11-23"),
    (NOW + timedelta(seconds=59), "expires in less than a minute, on 2026-11-23"),
    (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), "expires in 2,912,116 days, on 9999-12-31"),
])  # fmt: skip
def test_an_expiry_ahead_is_reported_in_days_then_hours_then_minutes(expires_on, wording):
    assert summary(a_token(expires_on=expires_on), a_finding(Code.EXPIRING)) == f"'Contoso' {wording}."


@pytest.mark.parametrize(("expires_on", "wording"), [
    (NOW, "expired today, on 2026-11-23"),
    (NOW - timedelta(hours=6), "expired today, on 2026-11-23"),
    (NOW - timedelta(hours=7), "expired 7 hours ago, on 2026-11-22"),
    (NOW - timedelta(days=1), "expired 1 day ago, on 2026-11-22"),
    (NOW - timedelta(days=40), "expired 40 days ago, on 2026-10-14"),
    (NOW + timedelta(days=4), "has expired, says Intune, although its date is 2026-11-27"),
    (None, "has expired on a date that is not known"),
])  # fmt: skip
def test_an_expiry_behind_is_reported_with_what_it_broke(expires_on, wording):
    token = a_token(VPP, expires_on=expires_on)
    assert summary(token, a_finding(Code.EXPIRED)) == f"'Contoso' {wording}; app licenses are no longer assigned."


@pytest.mark.parametrize(("code", "connector", "wording"), [
    ("terms_not_accepted", ADE, "cannot sync, because Apple's terms are not accepted in Apple Business; last successful sync 92 days ago; new devices do not reach Intune"),
    ("sync_error", VPP, "failed at its last sync, last successful sync 92 days ago"),
    ("sync_stale", VPP, "is not in sync with Apple, last successful sync 92 days ago; new licenses may be missing in Intune"),
    ("never_synced", ADE, "has never synced; known since 2026-08-25"),
    ("not_set_up", ADE, "is not set up: Intune has no token from Apple for it"),
    ("invalid", VPP, "cannot be used, its state is invalid; app licenses are no longer assigned"),
    ("invalid", APNS, "could not be uploaded: The certificate does not match the request; a renewal may not have taken effect"),
    ("unreadable", ADE, "cannot be judged as a whole: tokenExpirationDateTime is missing"),
    ("unread", ADE, "was not read: missing from the list; it was last seen 1 hour ago"),
    ("removed", ADE, "is no longer in Intune; it was last seen 1 hour ago"),
    ("removed", APNS, "is no longer in Intune, last seen 1 hour ago, topic com.apple.mgmt.1, serial number 0A1B; no Apple device can be managed"),
    ("apple_id_changed", VPP, "changed its Apple ID from old@contoso.com to new@contoso.com"),
    ("push_topic_changed", APNS, "was created again, not renewed, so every enrolled device is cut off: topic com.apple.mgmt.1 (serial number 0A1B) became com.apple.mgmt.2"),
    ("devices_dropped", ADE, "fell from 40 to 3 devices after a sync"),
    ("of_a_later_release", VPP, "has the finding 'of_a_later_release', which this release does not know"),
])  # fmt: skip
def test_a_summary_names_the_token_and_what_is_wrong(code, connector, wording):
    token = a_token(
        connector, last_successful_sync=NOW - timedelta(days=92), topic="com.apple.mgmt.1", serial_number="0A1B"
    )
    assert summary(token, a_finding(code), observed_on=NOW - timedelta(hours=1)) == f"'Contoso' {wording}."


def test_a_token_whose_devices_alone_were_not_inspected_was_seen_now_and_nothing_else_is_said():
    late = a_finding(Code.UNREAD, facts={"reason": "its devices were never inspected as a whole"})
    wording = "'Contoso' was not read: its devices were never inspected as a whole"
    assert summary(a_token(ADE), late, observed_on=NOW) == f"{wording}."
    assert summary(a_token(ADE), late, observed_on=None) == f"{wording}; it was last seen at a time not known."


def test_values_that_could_not_be_read_are_listed_up_to_three():
    facts = {"state": "new?", "b": None, "c": "missing", "d": "4", "e": "5"}
    wording = summary(a_token(VPP), a_finding(Code.UNREADABLE, facts=facts))
    assert (
        wording == "'Contoso' cannot be judged as a whole: state is 'new?', b is missing, c is missing, 2 more values."
    )


def test_a_finding_that_another_one_explains_names_its_cause():
    token = a_token(last_successful_sync=NOW - timedelta(days=4))
    assert "; explained by 'Terms not accepted'." in summary(
        token, a_finding("sync_stale", caused_by="terms_not_accepted")
    )
    assert "; explained by 'later'." in summary(token, a_finding("sync_stale", caused_by="later"))


@pytest.mark.parametrize(("last", "wording"), [
    (NOW, "less than a minute ago"),
    (NOW + timedelta(minutes=5), "just now"),
    (NOW + timedelta(minutes=6), "on 2026-11-23"),
    (NOW - timedelta(days=1), "1 day ago"),
    (None, "no successful sync on record"),
])  # fmt: skip
def test_the_last_success_is_reported_as_it_is(last, wording):
    assert wording in summary(a_token(last_successful_sync=last), a_finding(Code.SYNC_STALE))


@pytest.mark.parametrize(("code", "connector"), PAIRS)
def test_a_summary_stays_short_with_a_name_of_512_characters(code, connector):
    token = a_token(
        connector,
        name="n" * 503 + " 1a2b3c4d",
        expires_on=NOW + timedelta(days=1),
        last_successful_sync=NOW - timedelta(days=4),
        sync_error_code=7,
        topic="com.apple.mgmt.1",
        serial_number="0A1B",
    )
    wording = summary(token, a_finding(code), a_finding(Code.SYNC_STALE), observed_on=NOW)
    assert len(wording) <= 300
    assert " 1a2b3c4d' " in wording
    assert "not known" not in wording


# Headlines


def test_a_healthy_token_says_when_it_expires_and_when_it_last_synced():
    token = a_token(
        name="Contoso ABM", expires_on=NOW + timedelta(days=210, hours=3), last_successful_sync=NOW - timedelta(hours=3)
    )
    wording = Guidance().headline(a_status(token))
    assert wording == "'Contoso ABM' is healthy: it expires in 210 days and last synced 3 hours ago."


@pytest.mark.parametrize("health", [health for health in Health if health is not Health.HEALTHY])
def test_a_token_that_is_not_healthy_is_never_called_so(health):
    wording = Guidance().headline(a_status(a_token(), health=health))
    assert wording == f"'Contoso' is {health}."


@pytest.mark.parametrize(("others", "wording"), [(0, ""), (1, "; and 1 more finding"), (2, "; and 2 more findings")])
def test_a_headline_is_the_worst_finding_and_the_number_of_the_others(others, wording):
    findings = [a_finding(Code.EXPIRING), *[a_finding(Code.SYNC_STALE)] * others]
    headline = Guidance().headline(a_status(a_token(expires_on=NOW + timedelta(days=3)), *findings))
    assert headline == f"'Contoso' expires in 3 days, on 2026-11-26{wording}."


# History


def a_change(*fields, old=Health.WARNING, new=Health.WARNING):
    return Change(changed_on=NOW, run_id="run", token_name="X", old_health=old, health=new, fields=fields)


def expiring(tier, severity=Health.WARNING):
    return FindingState(code="expiring", severity=severity, tier=tier)


@pytest.mark.parametrize(("change", "wording"), [
    (a_change(FieldChange(field="first_seen"), old=None, new=Health.CRITICAL), "was seen for the first time: critical"),
    (a_change(FieldChange(field="first_seen"), FieldChange(field="finding", new=expiring("7")), old=None), "was seen for the first time: warning, with expiring (7)"),
    (a_change(FieldChange(field="expiry", old="2026-05-01T00:00:00Z", new="2027-05-01T00:00:00Z")), "was renewed: it now expires on 2027-05-01"),
    (a_change(FieldChange(field="expiry", old="2027-05-01T00:00:00Z", new="2026-05-01T00:00:00Z")), "now expires on 2026-05-01 and not on 2027-05-01"),
    (a_change(FieldChange(field="expiry", new="2026-05-01T00:00:00Z")), "now expires on 2026-05-01"),
    (a_change(FieldChange(field="expiry", old="2026-05-01T00:00:00Z")), "no longer reports when it expires"),
    (a_change(FieldChange(field="expiry", old="2026-05-01", new="2027-05-01T00:00:00+01:00")), "was renewed: it now expires on 2027-05-01"),
    (a_change(FieldChange(field="health", old="healthy", new="warning"), FieldChange(field="finding", new=expiring("30")), old=Health.HEALTHY), "went from healthy to warning: expiring (30) began"),
    (a_change(FieldChange(field="health"), old=Health.UNKNOWN), "went from unknown to warning"),
    (a_change(FieldChange(field="finding", old=expiring("30"), new=expiring("14"))), "is still warning: expiring (30) became expiring (14)"),
    (a_change(FieldChange(field="finding", old=expiring("7"), new=expiring("7", Health.CRITICAL))), "is still warning: expiring (7) is now critical"),
    (a_change(FieldChange(field="finding", old="a", new="b"), FieldChange(field="finding", old="c")), "is still warning: a became b, c ended"),
    (a_change(FieldChange(field="apple_id", old="a@b.c", new="d@e.f")), "changed its Apple ID from 'a@b.c' to 'd@e.f'"),
    (a_change(FieldChange(field="topic", old="one", new="two")), "changed its push topic from 'one' to 'two'"),
    (a_change(FieldChange(field="apple_id", new="d@e.f"), FieldChange(field="name", old="Y", new="X")), "changed its Apple ID from none to 'd@e.f'; it was renamed from 'Y'"),
    (a_change(FieldChange(field="of_a_later_release", old="a", new="b")), "changed"),
    (a_change(FieldChange(field="health", old="warning", new="healthy"), FieldChange(field="finding", old=expiring("30")), FieldChange(field="expiry", old="2026-12-01T00:00:00Z", new="2027-12-01T00:00:00Z"), new=Health.HEALTHY), "was renewed: it now expires on 2027-12-01; it went from warning to healthy: expiring (30) ended"),
])  # fmt: skip
def test_a_change_is_reported_in_one_sentence(change, wording):
    assert sentence(change) == f"'X' {wording}."


# Whatever a row of another release can hold


NAMES = st.dictionaries(st.integers(-1, 9), st.sampled_from([*TITLES, "{x}", "x" * 600]), max_size=5)


@given(st.sampled_from(Connector).flatmap(statuses), NAMES)
def test_any_status_and_any_change_have_sentences(status, named):
    guidance = Guidance(named)
    assert guidance.headline(status).endswith(".")
    for finding in status.findings:
        assert guidance.summary(status, finding).endswith(".")
        assert len(guidance.action(status.token, finding)) <= 200
        assert guidance.entry(finding.code, status.token.connector, status.token).steps
    assert status.change is None or sentence(status.change).endswith(".")


@pytest.mark.parametrize("connector", Connector)
def test_a_finding_that_is_not_the_connectors_gets_the_general_entry(connector):
    general = Guidance().entry("of_a_later_release", connector)
    assert general.title == "Finding not known to this release"
    strangers = [code for code in Code if connector not in CONNECTORS[code]]
    assert all(Guidance().entry(code, connector) == general for code in strangers)


# docs/alerts.md


def test_every_finding_and_error_has_an_anchor():
    page = generate.alerts()
    for anchor in (*Code, *CATALOGUE.sync_errors, "sync-errors", "sync-error-names"):
        assert page.count(f'<a id="{anchor}"></a>') == 1


def test_text_cannot_break_a_table():
    assert markdown.table(("a", "b"), [(markdown.escaped("x | y"), markdown.escaped("<b> *c* [d]"))]) == (
        "| a | b |\n| --- | --- |\n| x \\| y | \\<b> \\*c\\* \\[d\\] |\n"
    )


def test_checking_a_stale_page_fails_and_names_the_remedy(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(generate, "DOCS", tmp_path)
    monkeypatch.setattr(generate, "PAGES", {tmp_path / "alerts.md": lambda: "new\n"})
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().err == "docs/alerts.md is not current: run `make docs`.\n"
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    assert generate.main(["--chek"]) == 3


if __name__ == "__main__":
    ACTIONS.write_text(json.dumps(frozen_actions(), indent=2, ensure_ascii=False) + "\n", "utf-8")
