"""HTML, escaped as it is put together: text is text, and only what these functions made is markup."""

import html
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit


class Markup(str):
    """Text that is HTML already. What is made of it otherwise than here, such as by an f-string, is mere text again."""

    __slots__ = ()


type Content = str | int | Markup | Iterable[Content] | None
"""None adds nothing."""

type Attribute = str | int | float | bool | None
"""None and False leave the attribute out; True gives it no value."""

_VOID: Final = frozenset({"meta", "br", "hr", "link"})
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


def tag(name: str, /, *content: Content, **attributes: Attribute) -> Markup:
    """An element. `class_` is the attribute `class`, `aria_label` is `aria-label`."""
    given = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{joined(content)}</{name}>")


def joined(content: Content) -> Markup:
    """Content, one after the other."""
    if content is None:
        return Markup()
    if isinstance(content, Markup):
        return content
    if isinstance(content, str | int):
        return Markup(html.escape(str(content)))
    return Markup("".join(map(joined, content)))


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    assert _NAME.fullmatch(name), name  # noqa: S101 # ours
    if value is True:
        return f" {name}"
    return f' {name}="{html.escape(f"{value:g}" if isinstance(value, float) else str(value))}"'


def isolated(text: str) -> Markup:
    """Return a name isolated from the text around it, whose direction of writing it could otherwise change."""
    return tag("bdi", text)


def heard(text: str) -> Markup:
    """Text for those who listen, where the others see signs."""
    return tag("span", text, class_="heard")


def with_code(text: str) -> Markup:
    """Text in which what stands between backticks is code."""
    return joined(tag("code", part) if number % 2 else part for number, part in enumerate(text.split("`")))


def link(address: str, *content: Content, **attributes: Attribute) -> Markup:
    """A link to another place, if its address is one of the web; else its content alone."""
    if urlsplit(address).scheme != "https":
        return joined(content)
    return tag("a", *content, href=address, rel="noreferrer", **attributes)


def table(
    caption: str,
    header: Iterable[Content],
    rows: Iterable[Iterable[Content]],
    *,
    shown: bool = False,
    told: bool = False,
) -> Markup:
    """A table whose first column names its rows.

    Args:
        caption: what it is.
        header: names the columns.
        rows: their cells.
        shown: whether the caption is to be seen, or only to be heard.
        told: whether the last column holds sentences, and so takes all the width that it can get.

    """
    heads = tag("tr", (tag("th", head, scope="col") for head in header))
    body = (tag("tr", _cells(row)) for row in rows)
    return tag(
        "div",
        tag(
            "table",
            tag("caption", caption, class_=None if shown else "heard"),
            tag("thead", heads),
            tag("tbody", body),
            class_="told" if told else None,
        ),
        class_="scroll",
        role="group",  # as a landmark, each would stand in a reader's list of them
        aria_label=caption,
        tabindex=0,
    )


def _cells(row: Iterable[Content]) -> Iterable[Markup]:
    first, *others = row
    return tag("th", first, scope="row"), *(tag("td", cell) for cell in others)
