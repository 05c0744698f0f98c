"""Text from outside, as it is kept: bounded, and without what would turn, split or hide it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.text import LONGEST, MARK, alike, bounded, labels, without_links


@pytest.mark.parametrize("text", ["", "Contoso", "Zürich 東京 \U0001f34e", "a b", "Z\u0301u\u0308", "x" * LONGEST])
def test_an_ordinary_text_stays_as_it_is(text):
    assert bounded(text) == text


def test_a_text_that_is_too_long_is_cut_and_ends_in_a_mark():
    assert bounded("x" * (LONGEST + 1)) == "x" * (LONGEST - 1) + MARK
    assert bounded("x" * 100_000, 10) == "x" * 9 + MARK
    assert LONGEST == 512


@pytest.mark.parametrize(
    "character",
    [*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u2028", "\u2029", *map(chr, (0xD800, 0xDFFF))],
    ids=ascii,
)
def test_a_character_that_controls_a_terminal_or_splits_a_line_is_replaced(character):
    assert bounded(f"a{character}b") == "a\ufffdb"


@pytest.mark.parametrize("character", [" ", "~", "\xa0", "\u202f", "\ue000", "\ufffd"], ids=ascii)
def test_their_neighbors_are_kept(character):
    assert bounded(f"a{character}b") == f"a{character}b"


CF = "\xad\u061c\u200b\u200c\u200d\u200f\u202e\u2060\u2066\u2068\ufeff\U000e0041"
IGNORABLE = "\u034f\u115f\u180b\u2065\u3164\ufe00\ufe0f\uffa0\ufff0\U000e0100\U000e0fff"


@pytest.mark.parametrize("character", [*CF, *IGNORABLE, "\u200d\ufe0f", "\ufe0f\u200d", "\u200d\u200d"], ids=ascii)
def test_an_invisible_character_is_removed_so_that_names_that_look_the_same_are_the_same(character):
    assert bounded(f"{character}Con{character}toso{character}") == "Contoso"


@pytest.mark.parametrize(
    "emoji",
    [
        "\U0001f469\u200d\U0001f4bb",
        "\u2764\ufe0f\u200d\U0001f525",
        "\U0001f469\U0001f3fd\u200d\U0001f692",
        "\U0001f642\u200d\u2194\ufe0f",
        "1\ufe0f\u20e3",
        "\U0001f3f3\ufe0f\u200d\U0001f308",
    ],
)
def test_joiner_and_selector_of_an_emoji_stay(emoji):
    assert bounded(f"Lab {emoji}") == f"Lab {emoji}"
    assert bounded(f"Lab {emoji}\u200d") == f"Lab {emoji}"


@pytest.mark.parametrize(
    "text", ["^\u200d\u2603", "\xb0\u200d\u2603", "a\u200d\u2603", "\u2603\u200da", "1\ufe0f", "\u200d\u2603"]
)
def test_a_joiner_or_selector_beside_an_emoji_alone_is_removed(text):
    assert bounded(text) == text.replace("\u200d", "").replace("\ufe0f", "")


@pytest.mark.parametrize("mark", ["\u0301", "\u0489", "\u20dd", "\u0e49", "\U0001e8d0"], ids=ascii)
def test_marks_do_not_pile_up_over_other_lines(mark):
    assert bounded(f"a{mark * 300}b") == f"a{mark * 8}b"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("\U0001f34e\u200d\U0001f34e", "\U0001f34e\U0001f34e"),
        ("\u2764\ufe0f", "\u2764"),
        ("\xe9", "e\u0301"),
        ("a b", "a\xa0 b"),
        ("a b", " a\u3000b"),
        ("a", "a\u2800"),
        ("\u212b", "\xc5"),
    ],
)
def test_names_that_look_the_same_are_alike(one, other):
    assert alike(bounded(one)) == alike(bounded(other))
    assert alike("Contoso") != alike("contoso")


def test_a_text_of_any_size_takes_bounded_work():
    assert bounded("\u200b" * 5_000_000 + "x") == MARK


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("a", "b"), ["a", "b"]),
        (("a", "a"), ["a (1234567)", "a (12345678)"]),
        (
            ("\U0001f34e\u200d\U0001f34e", "\U0001f34e\U0001f34e"),
            ["\U0001f34e\u200d\U0001f34e (1234567)", "\U0001f34e\U0001f34e (12345678)"],
        ),
        (("\xe9", "e\u0301"), ["\xe9 (1234567)", "e\u0301 (12345678)"]),
    ],
)
def test_tokens_whose_names_look_the_same_are_labelled_by_their_ids(names, expected):
    assert labels([("ade", name, "12345678"[: 7 + at]) for at, name in enumerate(names)]) == expected
    assert labels([(at, name, "1") for at, name in enumerate(names)]) == list(names), "of another connector"


@pytest.mark.parametrize("name", ["a", "\u2764\ufe0f"])
def test_ids_that_begin_alike_are_shown_whole(name):
    assert labels([("ade", name, "12345678-a"), ("ade", name, "12345678-b")]) == [
        f"{name} (12345678-a)",
        f"{name} (12345678-b)",
    ]


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("Contoso Retail", "Contoso Retail"),
        ("contoso.com", "contoso.com"),
        ("v1.2", "v1.2"),
        ("see https://evil.example.com/login", "see https: //evil .example .com/login"),
        ("HTTP://a.b:80", "HTTP: //a .b:80"),
        ("www.evil.com", "www .evil.com"),
        ("evil.com/x?y", "evil .com/x?y"),
        ("of 54FAC284-7866-43e5-860a-9c8e10fa3d7d", "of 54FAC284 7866 43e5 860a 9c8e10fa3d7d"),
        ("x54fac284-7866-43e5-860a-9c8e10fa3d7dx", "x54fac284 7866 43e5 860a 9c8e10fa3d7dx"),
        ("my Push-Certificate", "my push certificate"),
        ("54fac284786643e5860a9c8e10fa3d7d", "54fac284 7866 43e5 860a 9c8e10fa3d7d"),
        ("{54fac284\u20107866\u201143e5\u2012860a\u22129c8e10fa3d7d}", "{54fac284 7866 43e5 860a 9c8e10fa3d7d}"),
        ("https\uff1a//evil", "https\uff1a //evil"),
        ("https:\\\\evil", "https: \\\\evil"),
        ("https:\uff0f\uff0fevil", "https: \uff0f\uff0fevil"),
        ("http://evil\u3002com/x", "http: //evil \u3002com/x"),
        ("evil\uff0ecom/x", "evil \uff0ecom/x"),
        ("evil.com:80", "evil .com:80"),
        ("evil.com\uff0fx", "evil .com\uff0fx"),
        ("10.0.0.1/x", "10 .0 .0 .1/x"),
        ("WWW.evil.com", "WWW .evil.com"),
        ("mailto:a@b.c", "mailto: a@b.c"),
        ("Room 7: tel:112", "Room 7: tel: 112"),
    ],
)
def test_a_published_name_holds_no_link_and_no_id_of_another_token(name, published):
    assert without_links(name) == published
    assert without_links(published) == published


@given(st.text(st.characters(codec=None), max_size=60), st.integers(1, 60))
def test_any_text_is_bounded_printable_and_settled(text, longest):
    kept = bounded(text, longest)
    assert len(kept) <= longest
    assert bounded(kept, longest) == kept
    kept.encode()
    assert len(kept.splitlines()) <= 1
