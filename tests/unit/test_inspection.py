"""The inspection's decisions: who is due, how fast Graph is asked, and what is remembered of a look that ended."""

import asyncio
import json
from datetime import timedelta

import httpx
import msgspec
import pytest

from shared.graph import device_reader
from shared.graph.device_reader import DeviceReader
from shared.graph.devices import Event
from shared.graph.pace import CALLS, SECONDS, Pace
from shared.graph.pages import GraphError, Pages
from shared.model.counts import Counts, Events, Inspected, Inspection, Pause
from shared.model.tokens import Code, Finding
from shared.token_inspection import LONGEST_PAUSE, Look, due
from tests.unit.builders import ADE, DAY, HOUR, IDS, MINUTE, NOTHING, NOW, SECOND, WARNING, a_status, ade, settings, vpp
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


def waiting(*inspections, now=NOW, every=DAY):
    """The ids of those that are due of tokens with these inspections."""
    known = {one.token_id: one for one in inspections}
    return [status.token.id for status in due([a_status(ade(id=of)) for of in known], known, now, every)]


def test_a_token_is_due_again_after_the_hours_of_the_setting_and_not_before():
    one = inspection(on=NOW)
    assert waiting(one, now=NOW + DAY - SECOND) == []
    assert waiting(one, now=NOW + DAY) == [one.token_id]
    assert waiting(one, now=NOW + HOUR, every=HOUR) == [one.token_id]


def test_with_no_hours_between_a_token_is_due_at_every_run():
    assert waiting(inspection(on=NOW), now=NOW, every=NOTHING) == [IDS[ADE]]


def test_a_timer_that_fires_a_little_earlier_than_the_day_before_does_not_miss_the_hour():
    fired = NOW + timedelta(milliseconds=400)
    assert waiting(inspection(on=fired), now=NOW + DAY + timedelta(milliseconds=20)) == [IDS[ADE]]


def test_an_inspection_of_the_future_does_not_keep_a_token_from_being_due():
    assert waiting(inspection(on=NOW + HOUR)) == []
    assert waiting(inspection(on=NOW + 2 * DAY)) == [IDS[ADE]]


@pytest.mark.parametrize(
    "fields",
    [
        {"on": NOW - MINUTE, "pause": a_pause(), "complete": False},
        {"on": None, "tried_on": NOW - MINUTE},
        {"on": NOW - 30 * HOUR, "tried_on": NOW - MINUTE, "complete": False, "error": "Graph failed."},
    ],
    ids=["left unfinished", "never complete", "failed"],
)
def test_what_the_last_run_did_not_complete_is_due_at_the_next(fields):
    assert waiting(inspection(**fields)) == [IDS[ADE]]


def test_a_token_that_was_never_looked_at_is_due_and_goes_first():
    known = {"b": inspection("b", on=NOW - 40 * HOUR)}
    statuses = [a_status(ade(id=of)) for of in ("b", "a")]
    assert [status.token.id for status in due(statuses, known, NOW, DAY)] == ["a", "b"]


def test_the_one_whose_last_turn_is_longest_ago_goes_first():
    assert waiting(inspection("a", on=NOW - 26 * HOUR), inspection("b", on=NOW - 30 * HOUR)) == ["b", "a"]


def test_a_token_that_always_fails_does_not_go_before_those_that_wait_for_their_turn():
    failing = inspection("a", on=NOW - 90 * HOUR, tried_on=NOW - HOUR, complete=False)
    assert waiting(failing, inspection("b", on=NOW - 26 * HOUR)) == ["b", "a"]


def test_of_two_that_wait_since_the_same_run_the_unfinished_one_goes_first():
    known = [
        inspection("a", on=NOW - DAY),
        inspection("b", on=NOW - DAY, pause=a_pause()),
        inspection("c", on=NOW - DAY),
    ]
    assert waiting(*known) == ["b", "a", "c"]


def test_removed_tokens_and_those_of_other_connectors_are_not_inspected():
    removed = a_status(ade(), Finding(code=Code.REMOVED, severity=WARNING, since=NOW))
    assert due([removed, a_status(vpp())], {}, NOW, DAY) == []


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


async def test_after_the_end_it_is_over():
    assert Pace(asyncio.get_running_loop().time() - 1).over


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
    look = Look(reader or reader_of(graph), status, before, settings(**overrides), run_id="run", now=now)
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


async def test_the_events_of_the_tenant_are_kept_beside_it():
    told = Events(since=NOW - DAY, by_category={"authentication": 2})
    assert (await looked(FakeGraph(answers()), events=told)).last.events == told


REFUSALS = {
    ("$select",): [False, True],
    ("$top",): [False, False, True],
    ("$select", "$top"): [False, False, False, True],
}


@pytest.mark.parametrize(("refused", "tried"), REFUSALS.items())
async def test_select_and_large_pages_are_done_without_where_graph_refuses_them(refused, tried):
    class Strict(FakeGraph):
        async def _get(self, url, _asked="", **_options):
            answer = await super()._get(url)
            if url.partition("?")[0].endswith("Identities") and any(option in url for option in refused):
                raise error(400)
            return answer

    graph = Strict(answers())
    reader = reader_of(graph)
    assert (await looked(graph, reader=reader)).complete
    asked = [address for address in graph.asked if address.startswith(LIST)]
    assert [not any(option in address for option in refused) for address in asked] == tried
    graph.asked.clear()
    assert (await looked(graph, reader=reader)).complete
    assert len([address for address in graph.asked if address.startswith(LIST)]) == 1, "the next token need not try"


async def test_a_list_that_is_refused_in_every_form_fails():
    found = await looked(FakeGraph(answers(**{LIST: error(400)})))
    assert (found.complete, found.last, found.pause) == (False, None, None)


@pytest.mark.parametrize("status", [400, 403, 404, 500, 501, 503, None])
@pytest.mark.parametrize(
    ("refused", "what"),
    [(f"{TOKEN}/enrollmentProfiles", "the enrollment profiles"), (f"{TOKEN}?", "the default profiles")],
)
async def test_profiles_that_graph_does_not_tell_are_a_note_and_take_nothing_from_the_devices(refused, what, status):
    graph = FakeGraph(answers(**{refused: error(status, retry_after=0.01)}))
    found = await looked(graph, reader=reader_of(graph))
    assert (found.complete, found.last.counts.devices) == (True, 1)
    assert (found.last.profiles is None, found.last.defaults is None) == (what[4] == "e", what[4] == "d")
    assert (
        found.error == f"Graph does not return {what}: GET /x: Graph failed{f' (HTTP {status})' * bool(status)}. Wait."
    )
    assert graph.asked[0].startswith(LIST), "the devices go first"


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


async def test_enrollment_profiles_which_can_hold_a_password_are_never_asked_for_as_a_whole():
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


async def test_entries_that_graph_does_not_document_are_told_and_more_than_half_of_them_are_a_failure():
    found = await looked(FakeGraph(answers(**{LIST: page(entry(), 5)})))
    assert (found.complete, found.last.counts.unreadable) == (True, 1)
    assert found.error == "1 entries of the list are not what Graph documents."
    found = await looked(FakeGraph(answers(**{LIST: page(entry(), 5, 6)})), inspection())
    assert (found.complete, found.last, found.pause) == (False, inspection().last, None)
    assert "2 of 3 entries are not what Graph documents" in found.error


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


async def test_a_page_that_names_another_host_fails_and_the_page_is_not_counted():
    hostile = json.dumps({"value": [entry()], "@odata.nextLink": "https://evil.example/x"}).encode()
    found = await looked(FakeGraph(three_pages(**{SECOND_PAGE: hostile})))
    assert "its next page lies elsewhere" in found.error
    assert (found.pause.position, found.pause.counts.devices) == (f"{ROOT}{SECOND_PAGE}", 1)


@pytest.mark.parametrize("status", [400, 404, 410])
async def test_a_position_that_graph_no_longer_takes_starts_over(status):
    before = inspection(pause=a_pause(position=f"{ROOT}{THIRD_PAGE}", devices=999))
    graph = FakeGraph(three_pages(**{THIRD_PAGE: [error(status), page(entry("3"))]}))
    found = await looked(graph, before)
    assert (found.complete, found.last.on, found.last.counts.devices) == (True, NOW, 3)


@pytest.mark.parametrize(
    "position", ["https://evil.example/x", f"{ROOT}{LIST}", "", "nonsense", f"{ROOT}:444{LIST}?$skiptoken=2"]
)
async def test_a_stored_position_that_no_page_may_name_is_not_asked_for_and_starts_over(position):
    graph = FakeGraph(three_pages())
    found = await looked(graph, inspection(pause=a_pause(position=position, devices=999)))
    assert (found.complete, found.last.counts.devices) == (True, 3)
    assert not any("evil" in address or "444" in address for address in graph.asked)


@pytest.mark.parametrize("status", [500, 502])
async def test_a_position_at_which_graph_fails_is_left_and_the_next_run_starts_over(status):
    before = inspection(pause=a_pause(position=f"{ROOT}{THIRD_PAGE}"))
    found = await looked(FakeGraph(three_pages(**{THIRD_PAGE: error(status)})), before)
    assert (found.complete, found.pause, found.last) == (False, None, before.last)


@pytest.mark.parametrize("status", [None, 401, 403])
async def test_a_failure_that_says_nothing_of_the_position_keeps_it(status):
    pause = a_pause(position=f"{ROOT}{THIRD_PAGE}", devices=2)
    found = await looked(FakeGraph(three_pages(**{THIRD_PAGE: error(status)})), inspection(pause=pause))
    assert found.pause == pause


async def test_an_inspection_that_was_begun_too_long_ago_is_begun_anew():
    async def began(ago):
        pause = a_pause(position=f"{ROOT}{THIRD_PAGE}", began_on=NOW - ago, devices=2)
        return (await looked(FakeGraph(three_pages()), inspection(pause=pause))).last.on

    assert await began(LONGEST_PAUSE) == NOW - LONGEST_PAUSE
    assert await began(LONGEST_PAUSE + SECOND) == NOW
    assert await began(-SECOND) == NOW


async def test_what_is_counted_goes_by_the_clock_of_the_run_that_began():
    silent = {"lastContactedDateTime": NOW - 30 * DAY - MINUTE}
    pause = a_pause(position=f"{ROOT}{THIRD_PAGE}", began_on=NOW - HOUR)
    graph = FakeGraph(three_pages(**{THIRD_PAGE: page(entry(**silent))}))
    assert (await looked(graph, inspection(pause=pause))).last.counts.not_contacted == 0


async def test_a_fault_of_ours_in_the_middle_starts_over_since_nobody_knows_what_was_counted():
    look = Look(reader_of(FakeGraph({})), a_status(ade()), inspection(pause=a_pause()), settings(), run_id="r", now=NOW)
    assert look.unfinished("A fault.", keep=False).pause is None
    assert look.unfinished("Time ran out.").pause == a_pause()


async def test_serial_numbers_go_at_the_next_run_once_the_setting_says_so_even_if_it_fails():
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


async def test_a_throttled_request_is_asked_again_after_the_rest_that_graph_wants():
    graph = FakeGraph(answers(**{LIST: [error(429, retry_after=0.2), page(entry())]}))
    clock = asyncio.get_running_loop().time
    begun = clock()
    reader = reader_of(graph)
    found = await asyncio.gather(*(looked(graph, reader=reader) for _ in range(3)))
    assert all(one.complete for one in found)
    assert clock() - begun >= 0.2


async def test_a_service_that_is_not_there_makes_nobody_wait_but_the_one_who_asked():
    graph = FakeGraph(answers(**{LIST: [error(503, retry_after=0.2), page(entry())]}))
    reader = reader_of(graph)
    waits = asyncio.ensure_future(looked(graph, reader=reader))
    await asyncio.sleep(0.05)
    assert (await asyncio.wait_for(looked(graph, reader=reader), 0.1)).complete
    assert (await waits).complete


async def test_a_throttle_that_does_not_end_is_told_after_four_tries(monkeypatch):
    monkeypatch.setattr(device_reader, "_REST", 0.01)
    graph = FakeGraph(answers(**{LIST: error(429)}))
    found = await looked(graph, inspection())
    assert (found.complete, found.error) == (False, "GET /x: Graph failed")
    assert len([address for address in graph.asked if address.startswith(LIST)]) == 4


async def test_a_rest_beyond_the_runs_end_ends_the_look_at_once_and_keeps_the_place():
    graph = FakeGraph(three_pages(**{THIRD_PAGE: error(429, retry_after=3_600)}))
    found = await asyncio.wait_for(looked(graph), 1)
    assert (found.complete, found.pause.position) == (False, f"{ROOT}{THIRD_PAGE}")


async def test_a_service_that_is_away_for_long_is_told_and_not_waited_for():
    graph = FakeGraph(answers(**{LIST: error(503, retry_after=61)}))
    assert not (await asyncio.wait_for(looked(graph), 1)).complete


async def test_an_answer_that_does_not_come_is_a_failure_of_its_token(monkeypatch):
    class Silent(FakeGraph):
        async def _get(self, _url, _asked="", **_options):
            await asyncio.sleep(60)

    monkeypatch.setattr(device_reader, "ANSWER_SECONDS", 0.05)
    found = await asyncio.wait_for(looked(Silent({})), 1)
    assert "no whole answer within 0.05 seconds" in found.error


# --- events


async def test_events_are_read_from_an_instant_on_and_those_of_apple_are_kept():
    def event(on, kind):
        return {"eventDateTime": on.isoformat(), "enrollmentType": kind, "failureCategory": "authentication"}

    path = "/beta/deviceManagement/troubleshootingEvents"
    told = page(event(NOW, "appleBulkWithUser"), event(NOW, "userEnrollment"), 5, then=f"{path}?page=2")
    more = page(event(NOW - DAY, "appleBulkWithUser"), event(NOW, "appleBulkWithoutUser"))
    graph = FakeGraph({path: told, f"{path}?page=2": more})
    found = await reader_of(graph).events(NOW - DAY)
    assert [(type(one), one.enrollment_type) for one in found] == [
        (Event, "appleBulkWithUser"),
        (Event, "appleBulkWithoutUser"),
    ]
    assert graph.asked[0].startswith(f"{path}?$filter=eventDateTime%20ge%202026-11-22T06:07:00Z&$top=")
