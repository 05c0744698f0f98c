"""A list of Graph, page by page: where it goes on, what it may not name, and what becomes of a page that is none."""

import json

import httpx
import pytest

from shared.graph.lenient import MOST_BYTES
from shared.graph.pages import MOST_PAGES, MOST_VALUES, GraphError, Page, Pages, encoded, readable

ROOT = "https://graph.microsoft.com"
PATH = "/beta/things?$select=id"


class Server:
    """Answers with the bodies of `pages`, by address."""

    def __init__(self, pages):
        self.pages = pages
        self.asked = []

    async def get(self, url, _asked):
        self.asked.append(url)
        found = self.pages[url]
        if isinstance(found, Exception):
            raise found
        return found


def body(*values, then=None):
    return json.dumps({"value": list(values)} | ({"@odata.nextLink": then} if then else {})).encode()


def listing(server, position=None, number=0):
    return Pages(server.get, httpx.URL(ROOT), PATH, position, number)


async def read(pages):
    found = []
    while pages.position is not None:
        found += [json.loads(bytes(raw)) for raw in await pages.next(encoded)]
    return found


async def test_a_list_is_read_to_its_end_empty_pages_included():
    server = Server(
        {
            f"{ROOT}{PATH}": body(1, 2, then=f"{ROOT}/beta/things?page=2"),
            f"{ROOT}/beta/things?page=2": body(then=f"{ROOT}/beta/things?page=3"),
            f"{ROOT}/beta/things?page=3": body(3),
        }
    )
    pages = listing(server)
    assert await read(pages) == [1, 2, 3]
    assert (pages.number, pages.position, pages.asked) == (3, None, "GET /beta/things")
    with pytest.raises(ValueError, match="at its end"):
        await pages.next(encoded)


FOREIGN = [
    "https://evil.example/beta/things",
    "https://graph.microsoft.com.evil.example/beta/things",
    "https://graph.microsoft.com@evil.example/beta/things",
    "https://graph.microsoft.com:8443/beta/things",
    "http://graph.microsoft.com/beta/things",
    "https://somebody@graph.microsoft.com/beta/things",
    "https:/\\evil.example",
    "//evil.example/beta",
    "/beta/things",
    "",
    "https://graph.microsoft.com\x00/beta",
    "file:///etc/passwd",
    "https://graph.microsoft.com/beta/deviceAppManagement/vppTokens",
    "https://graph.microsoft.com/beta/things/../vppTokens?page=2",
    "https://graph.microsoft.com/beta/things/%2e%2e/vppTokens?page=2",
    "https://graph.microsoft.com/beta/things%2Fsecrets?page=2",
    "https://graph.microsoft.com/beta/things/1?page=2",
    "https://graph.microsoft.com/beta/things('1')?page=2",
    "https://graph.microsoft.com/beta/thingsAndMore?page=2",
    "https://graph.microsoft.com/v1.0/things?page=2",
    "https://graph.microsoft.com/beta?page=2",
]


@pytest.mark.parametrize("link", FOREIGN)
async def test_a_page_that_names_another_list_is_not_followed_and_nothing_moves_on(link):
    server = Server({f"{ROOT}{PATH}": json.dumps({"value": [1], "@odata.nextLink": link}).encode()})
    pages = listing(server)
    with pytest.raises(GraphError, match="its next page lies elsewhere"):
        await pages.next(encoded)
    assert (pages.position, pages.number, server.asked) == (f"{ROOT}{PATH}", 0, [f"{ROOT}{PATH}"])


async def test_a_next_page_whose_address_is_too_long_to_keep_is_not_followed():
    link = f"{ROOT}/beta/things?page={'x' * 8_192}"
    pages = listing(Server({f"{ROOT}{PATH}": body(1, then=link)}))
    with pytest.raises(GraphError, match="its next page has an address of 8,2"):
        await pages.next(encoded)


@pytest.mark.parametrize("position", [link for link in FOREIGN if link])
def test_a_stored_position_is_checked_like_any_link_before_it_is_asked_for(position):
    with pytest.raises(GraphError, match="its next page lies elsewhere"):
        listing(Server({}), position, 1)


@pytest.mark.parametrize(
    "link",
    [
        "/beta/tokens/a%20b/Things?page=2",
        "/beta/tokens/a%20b/things/?page=2",
        "/beta/tokens('a%20b')/things?page=2",
        "/beta/tokens(%27a b%27)/things?page=2",
        ":443/beta/tokens/a b/things?page=2",
    ],
)
async def test_a_page_of_the_same_list_is_followed_however_its_address_is_spelled(link):
    first, link = "/beta/tokens/a%20b/things?$top=1", ROOT.replace("graph", "GRAPH") + link
    server = Server({f"{ROOT}{first}": body(1, then=link), link: body(2)})
    assert await read(Pages(server.get, httpx.URL(ROOT), first, None, 0)) == [1, 2]


async def test_pages_in_a_circle_end():
    second = f"{ROOT}/beta/things?page=2"
    server = Server({f"{ROOT}{PATH}": body(1, then=second), second: body(2, then=f"{ROOT}{PATH}")})
    with pytest.raises(GraphError, match="round in a circle"):
        await read(listing(server))
    with pytest.raises(GraphError, match="round in a circle"):
        await read(listing(server, second, 1))  # also where it began before


def test_the_list_itself_is_no_position_to_go_on_from():
    with pytest.raises(GraphError, match="round in a circle"):
        listing(Server({}), f"{ROOT}{PATH}", 1)


async def test_pages_that_do_not_end_end_over_all_runs_together():
    last = f"{ROOT}/beta/things?page=last"
    more = {last: body(1, then=f"{ROOT}/beta/things?page=more"), f"{ROOT}/beta/things?page=more": body(2)}
    assert await read(listing(Server(more), last, MOST_PAGES - 2)) == [1, 2]
    with pytest.raises(GraphError, match="do not end"):
        await read(listing(Server(more), last, MOST_PAGES - 1))


def test_an_item_that_is_not_of_the_shape_is_none_and_the_others_stay():
    page = readable(body(1, "x", 2, then=f"{ROOT}/more"), Page[int], int, "GET /things")
    assert (page.value, page.next_link) == ([1, None, 2], f"{ROOT}/more")


@pytest.mark.parametrize(
    "page",
    [
        b'\xef\xbb\xbf{"value": [1, "\\ud800", 2], "@odata.nextLink": "https://graph.microsoft.com/more"}',
        b'{"a": "\\ud800", "value": [1, "[,\\x", 2], "@odata.nextLink": "https://graph.microsoft.com/more"}',
    ],
)
def test_of_a_malformed_page_the_sound_items_and_the_next_page_stay(page):
    found = readable(page, Page[int], int, "GET /things")
    assert (found.value, found.next_link) == ([1, None, 2], f"{ROOT}/more")


@pytest.mark.parametrize(
    "page",
    [
        b'{"value": [1, "\\ud800", 2',
        b'{"value": [1, "\\ud800", 2]} {}',
        b'{"value": [1, "\\ud800, 2]}',
        b'{"value": ["\\ud800"], "@odata.nextLink": 7}',
        b'{"value": ["\\ud800"], "@odata.nextLink": "\\ud800"}',
        b'{"value": ["\\ud800"], "\\ud800": "https://graph.microsoft.com/more"}',
        b'{"value": "\\ud800"}',
        b'{"values": ["\\ud800"]}',
        b'["\\ud800"]',
        b'{"value": ["\\ud800", %b]}' % (b"1" * MOST_BYTES),
    ],
)
def test_a_page_that_is_cut_off_or_whose_list_or_next_page_is_unknown_is_no_page(page):
    with pytest.raises(GraphError, match="not what Graph documents"):
        encoded(page, "GET /things")


def test_a_page_of_more_values_than_any_answer_of_graph_is_refused_before_it_takes_memory():
    page = b'{"value":[%b1]}' % (b"1," * (MOST_VALUES + 1))
    with pytest.raises(GraphError, match="more than 250,000 values"):
        encoded(page, "GET /things")
    with pytest.raises(GraphError, match="more than 250,000 values"):
        readable(page, Page[int], int, "GET /things")
