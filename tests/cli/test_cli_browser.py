"""The page in a real browser: it fits, everybody can read and use it, and it sends no request."""

from contextlib import asynccontextmanager

import chromium
import pytest
from cli_scene import CHECKED, Scene, ade, now, tenant
from pictures import busy

from simulator.tenant import many
from tests.scenes import DAY, HOUR

pytestmark = [pytest.mark.exhaustive, chromium.needed]

WIDTHS = {"phone": 360, "screen": 1280}


def write(scene, folder, name):
    file = folder / f"{name}.html"
    done = scene.run("report", "--output", str(file))
    assert done.returncode == 0, done.stderr
    return file


ENDLESS = ("<script>document.title='run'</script>", "W" * 500, "株式会社コントソ" * 40, "a " * 250)


@pytest.fixture(scope="module")
def pages(simulator, tmp_path_factory):
    """A page of everything at once, of names without end, of data that is too old, of 2,000 tokens."""
    scene, folder = Scene(simulator), tmp_path_factory.mktemp("pages")
    expiries = zip(ENDLESS, (3, 20, 50, -5), strict=True)

    def made(name, make):
        simulator.reset()
        make()
        return write(scene, folder, name)

    return {
        "busy": made("busy", lambda: busy(scene)),
        "endless": made(
            "endless", lambda: scene.check(of=tenant(*(ade(name, expires=days * DAY) for name, days in expiries)))
        ),
        "stale": made("stale", lambda: scene.check(ade("Contoso HQ"), ago=5 * HOUR)),
        "many": made("many", lambda: scene.check(of=many(2000, now() - CHECKED), CHECK_TIMEOUT_SECONDS="120")),
    }


@asynccontextmanager
async def shown(file, **look):
    async with chromium.browser() as page:
        await page.open(file, **look)
        yield page


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize("name", ["busy", "endless", "stale", "many"])
async def test_the_page_fits_folded_and_unfolded_and_sends_no_request(pages, name, width):
    async with shown(pages[name], width=width) as page:
        assert await page.value("document.documentElement.scrollWidth") <= width
        assert page.requests == [pages[name].as_uri()]
        assert page.complaints == []
        assert (await page.value("document.title")).startswith("Apple tokens, ")
        if name == "many":
            assert await page.value("document.querySelectorAll('.token').length") == 2000
            assert await page.value("performance.getEntriesByType('navigation')[0].loadEventEnd") < 10_000
            return
        await page.unfold()
        assert await page.value("document.documentElement.scrollWidth") <= width
        outside = """[...document.querySelectorAll('main > section *')].filter(e =>
            !e.closest('.scroll, .heard, svg') &&
            e.getBoundingClientRect().right > e.closest('main > section').getBoundingClientRect().right - 12)
            .map(e => e.outerHTML.slice(0, 100))"""
        assert await page.value(outside) == []


@chromium.axe_needed
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize("name", ["busy", "endless", "stale"])
async def test_axe_finds_nothing_folded_or_unfolded(pages, name, width, dark):
    async with shown(pages[name], width=width, dark=dark) as page:
        assert await page.axe() == []
        await page.unfold()
        assert await page.axe() == []


async def test_the_dark_page_is_dark_and_the_light_one_light(pages):
    async with chromium.browser() as page:
        grounds = []
        for dark in (False, True):
            await page.open(pages["busy"], dark=dark)
            grounds.append(await page.value("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(246, 247, 248)", "rgb(18, 21, 24)"]


async def test_the_worst_tokens_are_unfolded_and_the_others_unfold_by_keyboard_or_link(pages):
    async with shown(pages["busy"]) as page:
        assert await page.value("document.querySelectorAll('#attention .token[open]').length") == 5
        assert await page.value("document.querySelectorAll('#others .token[open]').length") == 0
        await page.value("document.querySelector('#others summary').focus()")
        await page.key("Enter", 13)
        assert await page.value("document.querySelectorAll('#others .token[open]').length") == 1
        anchor = await page.value("[...document.querySelectorAll('#others .token:not([open]) .body > span')][0].id")
        await page.value(f"location.hash = '{anchor}'")
        await page.until(f"document.getElementById('{anchor}').closest('details').open")


async def test_the_first_stop_of_the_keyboard_leads_to_what_needs_attention(pages):
    async with shown(pages["busy"]) as page:
        await page.key("Tab", 9)
        assert await page.value("document.activeElement.getAttribute('href')") == "#attention"
        box = await page.value("document.activeElement.getBoundingClientRect().top")
        assert box >= 0  # seen while it has the focus
        await page.key("Enter", 13)
        assert await page.value("location.hash") == "#attention"


async def test_the_keyboard_reaches_whatever_can_be_pressed_or_scrolled(pages):
    async with shown(pages["busy"]) as page:
        stops = "[...document.querySelectorAll('a[href], summary, [tabindex]')].filter(e => e.checkVisibility())"
        expected = await page.value(f"{stops}.length")
        for number in range(expected):
            await page.key("Tab", 9)
            if number < 12:
                outline = await page.value("getComputedStyle(document.activeElement).outlineWidth")
                assert outline == "2px", await page.value("document.activeElement.outerHTML.slice(0, 100)")
            await page.value("document.activeElement.dataset.reached = 'yes'")
        missed = f"{stops}.filter(e => !e.dataset.reached).map(e => e.outerHTML.slice(0, 80))"
        assert expected > 50
        assert await page.value(missed) == []


async def test_the_drawing_of_expiries_is_one_at_a_time_and_has_words_beside_it(pages):
    async with chromium.browser() as page:
        for width, name in ((1280, "wide"), (360, "narrow")):
            await page.open(pages["busy"], width=width)
            seen = (
                "[...document.querySelectorAll('.timeline')].filter(e => e.checkVisibility()).map(e => e.classList[1])"
            )
            assert await page.value(seen) == [name]
        assert await page.value("document.querySelectorAll('.timeline.wide a').length") == 14
        assert "13 tokens expire within a year, 1 has expired and the date of 2 is not known." in await page.value(
            "document.getElementById('expiries-words').textContent"
        )


async def test_no_two_texts_of_the_drawing_lie_on_each_other(pages):
    overlaps = """
        [...document.querySelectorAll('.timeline')].filter(e => e.checkVisibility()).flatMap(drawing => {
            const texts = [...drawing.querySelectorAll('text')].map(e => [e.textContent, e.getBoundingClientRect()]);
            return texts.flatMap(([one, a], i) => texts.slice(i + 1)
                .filter(([, b]) => a.left < b.right - 1 && b.left < a.right - 1)
                .filter(([, b]) => a.top < b.bottom - 3 && b.top < a.bottom - 3)
                .map(([other]) => one + ' / ' + other));
        })"""
    async with chromium.browser() as page:
        for name in ("busy", "many"):
            for width in WIDTHS.values():
                await page.open(pages[name], width=width)
                assert await page.value(overlaps) == [], (name, width)


async def test_each_health_has_a_shape_of_its_own(pages):
    """Colour is not for everybody."""
    async with shown(pages["busy"]) as page:
        shapes = await page.value("[...document.querySelectorAll('symbol')].map(e => e.innerHTML)")
        assert len(set(shapes)) == 5
        marks = "[...document.querySelectorAll('.mark')].every(e => e.querySelector('svg') && e.textContent.trim())"
        assert await page.value(marks)


async def test_without_a_script_everything_can_be_read(pages):
    async with shown(pages["busy"]) as page:
        assert await page.value("document.scripts.length") == 0
        assert await page.value("document.querySelectorAll('noscript').length") == 0
        await page.unfold()
        hidden = """[...document.querySelectorAll('.token *')].filter(e =>
            e.textContent.trim() && !e.checkVisibility() && !e.closest('.headline')).length"""
        assert await page.value(hidden) == 0


async def test_printed_it_is_black_on_white_and_holds_the_steps(pages):
    async with shown(pages["busy"], dark=True) as page:
        await page.call("Emulation.setEmulatedMedia", media="print")
        assert await page.value("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
        seen = "[...document.querySelectorAll('#attention .steps li')].map(e => e.checkVisibility())"
        assert set(await page.value(seen)) == {True}
        assert (await page.printed()).startswith(b"%PDF")
