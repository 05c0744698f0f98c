"""The inspection's decisions: who is due, how fast Graph is asked, and what is remembered of a look that ended."""

import asyncio
import json
from datetime import timedelta

import httpx
import msgspec
import pytest

from shared.graph import device_reader
from shared.graph.device_reader import DeviceReader
from shared.graph.pace import CALLS, SECONDS, Pace
from shared.graph.pages import GraphError, Pages
from shared.model.counts import Counts, Inspected, Inspection, Pause
from shared.token_inspection import TokenInspection, due
from tests.unit.builders import ADE, DAY, HOUR, IDS, MINUTE, NOTHING, NOW, a_status, ade, settings
from tests.unit.test_devices import entry

ROOT = "https://graph.microsoft.com"
TOKEN = f"/beta/deviceManagement/depOnboardingSettings/{IDS[ADE]}"
LIST = f"{TOKEN}/importedAppleDeviceIdentities"


def inspection(token_id=IDS[ADE], *, on=NOW - DAY, **fields):
    """One that was complete a day ago, unless something else is said; `on` None: never."""
    last = None if on is None else Inspected(on=on, counts=Counts(devices=7))
    usual = {"tried_on": on or NOW - DAY, "run_id": "before", "complete": on is not None, "last": last}
    return Inspection(token_id=token_id, token_name="Contoso iPads", **usual | fields)


def a_pause(*, position=f"{ROOT}{LIST}?$skiptoken=2", began_on=NOW - HOUR, pages=2, **counts):
    return Pause(began_on=began_on, position=position, pages=pages, counts=Counts(**counts))


# --- who is due


def waiting(*inspections, every=DAY):
    """The ids of those that are due of tokens with these inspections."""
    known = {one.token_id: one for one in inspections}
    return [status.token.id for status in due([a_status(ade(id=of)) for of in known], known, NOW, every)]


@pytest.mark.parametrize(
    ("fields", "every", "expected"),
    [
        ({"on": NOW - DAY + MINUTE}, DAY, False),
        ({"on": NOW - DAY}, DAY, True),
        ({"on": NOW - DAY + timedelta(milliseconds=400)}, DAY, True),  # a timer can fire a little early
        ({"on": NOW - HOUR}, HOUR, True),
        ({"on": NOW}, NOTHING, True),
        ({"on": NOW + HOUR}, DAY, False),
        ({"on": NOW + 2 * DAY}, DAY, True),
        ({"on": NOW - MINUTE, "pause": a_pause(), "complete": False}, DAY, True),
        ({"on": None, "tried_on": NOW - MINUTE}, DAY, True),
        ({"on": NOW - 30 * HOUR, "tried_on": NOW - MINUTE, "complete": False, "error": "Graph failed."}, DAY, True),
    ],
)
def test_a_token_is_due_after_the_configured_hours_or_if_its_last_inspection_is_not_complete(fields, every, expected):
    assert waiting(inspection(**fields), every=every) == ([IDS[ADE]] if expected else [])


@pytest.mark.parametrize(
    ("inspections", "expected"),
    [
        ([inspection("a", on=NOW - 26 * HOUR), inspection("b", on=NOW - 30 * HOUR)], "ba"),
        (
            [
                inspection("a", on=NOW - 90 * HOUR, tried_on=NOW - HOUR, complete=False),
                inspection("b", on=NOW - 26 * HOUR),
            ],
            "ba",
        ),
        ([inspection("a"), inspection("b", pause=a_pause()), inspection("c")], "bac"),
    ],
    ids=["longest ago", "one that always fails", "unfinished"],
)
def test_the_token_that_waits_longest_since_its_last_attempt_is_inspected_first(inspections, expected):
    assert waiting(*inspections) == list(expected)


# --- how fast


async def test_so_many_calls_go_at_once_and_the_next_waits_for_its_turn():
    clock = asyncio.get_running_loop().time
    begun = clock()
    pace = Pace(begun + 10, calls=3, seconds=0.2)
    for _ in range(3):
        await pace.turn()
    assert clock() - begun < 0.1
    await asyncio.gather(*(pace.turn() for _ in range(4)))
    assert 0.4 <= clock() - begun < 0.6


def test_the_pace_is_far_below_what_graph_takes():
    assert CALLS / SECONDS <= 0.5 * 1_000 / 20


async def test_a_throttle_slows_everyone():
    clock = asyncio.get_running_loop().time
    begun = clock()
    pace = Pace(begun + 10)
    pace.rest(0.2)
    pace.rest(0.1)  # a shorter one takes nothing back
    await asyncio.gather(*(pace.turn() for _ in range(5)))
    assert clock() - begun >= 0.2


async def test_nobody_waits_for_a_turn_that_comes_after_the_end():
    clock = asyncio.get_running_loop().time
    pace = Pace(clock() + 5)
    assert not pace.over
    pace.rest(60)
    assert pace.over
    begun = clock()
    with pytest.raises(TimeoutError, match="Graph throttled the app"):
        await pace.turn()
    assert clock() - begun < 0.1


# --- reading


def page(*entries, then=None):
    return json.dumps({"value": list(entries)} | ({"@odata.nextLink": f"{ROOT}{then}"} if then else {})).encode()


def error(status=None, **fields):
    return GraphError("GET /x", "Graph failed", "Wait.", status=status, **fields)


class FakeGraph:
    """Answers by address (its beginning, the longest that fits), in order; the last answer again and again."""

    def __init__(self, answers):
        self.answers = {address: list(some) if isinstance(some, list) else [some] for address, some in answers.items()}
        self.asked = []

    async def _get(self, url, _asked="", **_options):
        address = url.removeprefix(ROOT)
        self.asked.append(address)
        found = self.answers[max((one for one in self.answers if address.startswith(one)), key=len)]
        answer = found.pop(0) if len(found) > 1 else found[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def get(self, path, *, repeats=True):
        assert not repeats  # the SDK would make one wait, and not everyone
        return await self._get(path)

    def listing(self, path, *, position=None, number=0, repeats=True):
        assert not repeats
        return Pages(self._get, httpx.URL(ROOT), path, position, number)


DEFAULTS = json.dumps(
    {
        "id": IDS[ADE],
        "defaultIosEnrollmentProfile": {"id": f"{IDS[ADE]}_1", "displayName": "Phones"},
        "defaultMacOsEnrollmentProfile": None,
        "defaultTvOSEnrollmentProfile": {"id": "00000000-0000-0000-0000-000000000000", "displayName": "None"},
    }
).encode()


def answers(**others):
    usual = {f"{TOKEN}/enrollmentProfiles": page({"id": "1"}, {"id": "2"}), f"{TOKEN}?": DEFAULTS, LIST: page(entry())}
    return usual | others


def reader_of(graph, ends=60.0):
    return DeviceReader(graph, Pace(asyncio.get_running_loop().time() + ends))


async def looked(graph, before=None, *, token=None, now=NOW, events=None, reader=None, **overrides):
    """What is remembered after a look, as the run has it: complete, or unfinished with why."""
    status = a_status(token or ade(synced_devices=1))
    look = TokenInspection(reader or reader_of(graph), status, before, settings(**overrides), run_id="run", now=now)
    try:
        found = await look.complete(events)
    except GraphError as failed:
        found = look.unfinished(str(failed))
    except TimeoutError:
        found = look.unfinished("Time ran out.")
    return msgspec.json.decode(msgspec.json.encode(found), type=Inspection)


async def test_a_complete_look_remembers_what_it_counted_and_of_when():
    found = await looked(FakeGraph(answers()))
    assert (found.complete, found.error, found.pause) == (True, None, None)
    assert (found.token_id, found.token_name, found.run_id, found.tried_on) == (IDS[ADE], "Contoso iPads", "run", NOW)
    last = found.last
    assert (last.on, last.counts.devices, last.profiles, last.synced_devices, last.events) == (NOW, 1, 2, 1, None)
    assert last.defaults == {"ios": "Phones", "macOS": None, "tvOS": None}, "visionOS is not there, which is not null"


@pytest.mark.parametrize("answer", [b"{}", b'{"id":"x"}', b'{"value":[]}'])
async def test_an_answer_without_default_profiles_is_not_taken_for_there_being_none(answer):
    found = await looked(FakeGraph(answers(**{f"{TOKEN}?": answer})))
    assert (found.complete, found.last.defaults) == (True, None)
    assert "the answer holds none of them" in found.error


async def test_profiles_for_which_there_is_no_time_are_a_note_and_the_devices_count():
    graph = FakeGraph(answers())
    reader = reader_of(graph)

    async def slow(_token_id):
        await asyncio.sleep(60)

    reader.profiles, reader.ends = slow, asyncio.get_running_loop().time() + 0.05
    found = await looked(graph, reader=reader)
    assert (found.complete, found.last.counts.devices, found.last.profiles) == (True, 1, None)
    assert "the enrollment profiles: The run's time is over." in found.error


@pytest.mark.parametrize("status", [403, 404, 405, 500, 501, 502])
async def test_options_that_are_refused_with_any_status_are_left_out_once(status):
    class Strict(FakeGraph):
        async def _get(self, url, _asked="", **_options):
            answer = await super()._get(url)
            if url.partition("?")[0].endswith("Identities") and "$" in url:
                raise error(status)
            return answer

    graph = Strict(answers())
    reader = reader_of(graph)
    assert (await looked(graph, reader=reader)).complete
    assert ["$" in address for address in graph.asked if address.startswith(LIST)] == [True, False]
    graph.asked.clear()
    assert (await looked(graph, reader=reader)).complete
    tried = ["$" in address for address in graph.asked if address.startswith(LIST)]
    assert tried == ([True, False] if status in {500, 502} else [False]), "a fault can pass, a refusal lasts"


@pytest.mark.parametrize(("status", "times"), [(401, 1), (500, 2)])
async def test_a_list_that_fails_in_every_form_is_asked_for_no_more_than_twice(status, times):
    graph = FakeGraph(answers(**{LIST: error(status)}))
    assert not (await looked(graph)).complete
    assert len(graph.asked) == times


async def test_enrollment_profiles_which_can_hold_a_password_are_requested_only_by_selected_properties():
    graph = FakeGraph(answers(**{f"{TOKEN}/enrollmentProfiles": error(400), f"{TOKEN}?": error(400)}))
    await looked(graph)
    others = [address for address in graph.asked if not address.startswith(LIST)]
    assert others
    assert all("$select=id" in address for address in others)
    assert all(part.count("(") == part.count("($select=id,displayName") for part in others)


async def test_a_hostile_token_id_stays_one_part_of_the_address():
    graph = FakeGraph({"/": page()})
    await looked(graph, token=ade(id="../../users?$x=1#/ä"))
    beginning = "/beta/deviceManagement/depOnboardingSettings/..%2F..%2Fusers%3F%24x%3D1%23%2F%C3%A4"
    assert {address[: len(beginning)] for address in graph.asked} == {beginning}


# --- what did not come to its end

SECOND_PAGE = f"{LIST}?$skiptoken=2"
THIRD_PAGE = f"{LIST}?$skiptoken=3"


def three_pages(**others):
    pages = {LIST: page(entry("1"), then=SECOND_PAGE), SECOND_PAGE: page(entry("2"), then=THIRD_PAGE)}
    return answers(**pages | {THIRD_PAGE: page(entry("3"))} | others)


@pytest.mark.parametrize("failure", [error(500), error(403), error(None), error(404)])
async def test_a_failure_in_the_middle_leaves_the_last_complete_inspection_and_keeps_the_place(failure):
    before = inspection()
    found = await looked(FakeGraph(three_pages(**{THIRD_PAGE: failure})), before)
    assert (found.complete, found.last) == (False, before.last)
    assert found.error.startswith("GET /x: Graph failed 2 pages of the list are counted")
    assert (found.pause.position, found.pause.pages, found.pause.counts.devices) == (f"{ROOT}{THIRD_PAGE}", 2, 2)
    assert found.pause.began_on == NOW
    again = await looked(
        FakeGraph({**three_pages(), LIST: error(500)} | {THIRD_PAGE: page(entry("3"))}), found, now=NOW + HOUR
    )
    assert (again.complete, again.error, again.pause) == (True, None, None)
    assert (again.last.on, again.last.counts.devices) == (NOW, 3)


@pytest.mark.parametrize("status", [400, 404, 410])
async def test_a_position_that_graph_no_longer_takes_starts_again(status):
    before = inspection(pause=a_pause(position=f"{ROOT}{THIRD_PAGE}", devices=999))
    graph = FakeGraph(three_pages(**{THIRD_PAGE: [error(status), page(entry("3"))]}))
    found = await looked(graph, before)
    assert (found.complete, found.last.on, found.last.counts.devices) == (True, NOW, 3)


@pytest.mark.parametrize("status", [None, 401, 403])
async def test_a_failure_that_says_nothing_of_the_position_keeps_it(status):
    pause = a_pause(position=f"{ROOT}{THIRD_PAGE}", devices=2)
    found = await looked(FakeGraph(three_pages(**{THIRD_PAGE: error(status)})), inspection(pause=pause))
    assert found.pause == pause


async def test_what_is_counted_goes_by_the_clock_of_the_run_that_began():
    silent = {"lastContactedDateTime": NOW - 30 * DAY - MINUTE}
    pause = a_pause(position=f"{ROOT}{THIRD_PAGE}", began_on=NOW - HOUR)
    graph = FakeGraph(three_pages(**{THIRD_PAGE: page(entry(**silent))}))
    assert (await looked(graph, inspection(pause=pause))).last.counts.not_contacted == 0


async def test_a_fault_of_ours_in_the_middle_starts_over_since_nobody_knows_what_was_counted():
    look = TokenInspection(
        reader_of(FakeGraph({})), a_status(ade()), inspection(pause=a_pause()), settings(), run_id="r", now=NOW
    )
    assert look.unfinished("A fault.", keep=False).pause is None
    assert look.unfinished("Time ran out.").pause == a_pause()


async def test_serial_numbers_are_removed_at_the_next_run_after_the_setting_is_lowered_even_if_it_fails():
    examples = {"failed": ("C02A", "C02B")}
    last = Inspected(on=NOW - DAY, counts=Counts(devices=2, examples=examples))
    before = inspection(last=last, pause=a_pause(examples=examples))
    found = await looked(FakeGraph({"/": error(None)}), before, device_examples="0")
    assert "C02" not in msgspec.json.encode(found).decode()
    found = await looked(FakeGraph({"/": error(None)}), before, device_examples="1")
    assert found.last.counts.examples == found.pause.counts.examples == {"failed": ("C02A",)}


# --- list and count


async def test_how_long_list_and_count_have_disagreed_is_remembered():
    async def after(before, synced, now):
        return await looked(FakeGraph(answers()), before, token=ade(synced_devices=synced), now=now)

    first = await after(None, 50, NOW)
    assert (first.disagreed_first, first.disagreed_last) == (NOW, NOW)
    second = await after(first, 50, NOW + DAY)
    assert (second.disagreed_first, second.disagreed_last) == (NOW, NOW + DAY)
    blind = await after(second, None, NOW + 2 * DAY)
    assert (blind.disagreed_first, blind.disagreed_last) == (NOW, NOW + DAY), "neither for nor against"
    failed = await looked(FakeGraph({"/": error(500)}), second, now=NOW + 2 * DAY)
    assert (failed.disagreed_first, failed.disagreed_last) == (NOW, NOW + DAY)
    agreed = await after(second, 1, NOW + 2 * DAY)
    assert (agreed.disagreed_first, agreed.disagreed_last) == (None, None)
    again = await after(agreed, 50, NOW + 3 * DAY)
    assert again.disagreed_first == NOW + 3 * DAY


# --- one request


async def test_a_throttle_that_does_not_end_is_reported_after_four_tries(monkeypatch):
    monkeypatch.setattr(device_reader, "_REST", 0.01)
    graph = FakeGraph(answers(**{LIST: error(429)}))
    found = await looked(graph, inspection())
    assert (found.complete, found.error) == (False, "GET /x: Graph failed")
    assert len([address for address in graph.asked if address.startswith(LIST)]) == 4


async def test_a_service_that_is_away_for_long_is_reported_and_not_waited_for():
    graph = FakeGraph(answers(**{LIST: error(503, retry_after=61)}))
    assert not (await asyncio.wait_for(looked(graph), 1)).complete


# --- events
