"""Text from outside, as it is kept: bounded, and without what would turn, split or hide it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.text import LONGEST, MARK, bounded


@pytest.mark.parametrize("text", ["", "Contoso", "Zürich 東京 \U0001f34e", "a b", "x" * LONGEST])
def test_an_ordinary_text_stays_as_it_is(text):
    assert bounded(text) == text


def test_a_text_that_is_too_long_is_cut_and_ends_in_a_mark():
    assert bounded("x" * (LONGEST + 1)) == "x" * (LONGEST - 1) + MARK
    assert bounded("x" * 100_000, 10) == "x" * 9 + MARK
    assert LONGEST == 512


@pytest.mark.parametrize(
    "character",
    [
        *map(chr, range(0x20)),
        *map(chr, range(0x7F, 0xA0)),
        "\u2028",
        "\u2029",
        *map(chr, range(0x202A, 0x202F)),
        *map(chr, range(0x2066, 0x206A)),
        *map(chr, (0xD800, 0xDFFF)),
    ],
    ids=ascii,
)
def test_a_character_that_controls_a_terminal_splits_a_line_or_turns_the_writing_is_replaced(character):
    assert bounded(f"a{character}b") == "a\ufffdb"


@pytest.mark.parametrize("character", [" ", "~", "\xa0", "\u202f", "\u2065", "\ue000", "\ufffd"], ids=ascii)
def test_their_neighbours_are_kept(character):
    assert bounded(f"a{character}b") == f"a{character}b"


@given(st.text(st.characters(codec=None), max_size=60), st.integers(1, 60))
def test_any_text_is_bounded_printable_and_settled(text, longest):
    kept = bounded(text, longest)
    assert len(kept) <= longest
    assert len(kept) == len(text) or kept.endswith(MARK)
    assert bounded(kept, longest) == kept
    kept.encode()
    assert len(kept.splitlines()) <= 1
