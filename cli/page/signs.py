"""A sign for each health and each outcome of a run: colour is never all that tells them apart."""

from collections.abc import Mapping
from typing import Final

from cli.page.html import Content, Markup, tag
from shared.model.tokens import Health

_SHAPES: Final[Mapping[str, tuple[str, str]]] = {
    # the shape, and what is drawn on it
    "critical": ("M5.2 1h5.6L15 5.2v5.6L10.8 15H5.2L1 10.8V5.2Z", "M5.3 5.3l5.4 5.4M10.7 5.3l-5.4 5.4"),
    "unknown": ("M8 .5 15.5 8 8 15.5.5 8Z", "M6.2 6.4a1.9 1.9 0 1 1 2.7 1.7c-.6.3-.9.7-.9 1.3v.2M8 11.6v.2"),
    "warning": ("M8 1 15.6 14.5H.4Z", "M8 6v4M8 12.2v.2"),
    "info": ("M3 1h10a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H3a2 2 0 0 1-2-2V3a2 2 0 0 1 2-2Z", "M8 7.4v4.2M8 4.6v.2"),
    "healthy": ("M8 .8a7.2 7.2 0 1 1 0 14.4A7.2 7.2 0 0 1 8 .8Z", "M4.7 8.3l2.3 2.3 4.3-4.8"),
}

_OF_OUTCOME: Final = {"succeeded": "healthy", "degraded": "warning", "failed": "critical"}


def definitions() -> Markup:
    """The shapes, once for the page."""
    symbols = (
        tag(
            "symbol",
            tag("path", d=shape, fill="currentColor"),
            tag("path", d=drawn, class_="on"),
            id=f"s-{name}",
            viewBox="0 0 16 16",
        )
        for name, (shape, drawn) in _SHAPES.items()
    )
    return tag("svg", symbols, width=0, height=0, aria_hidden="true", class_="definitions")


def sign(health: Health | str) -> Markup:
    """The sign alone; its word must stand beside it."""
    return tag("svg", tag("use", href=f"#s-{health}"), class_=f"sign {health}", aria_hidden="true")


def mark(health: Health) -> Markup:
    """A health, as sign and word."""
    return tag("span", sign(health), tag("span", str(health), class_="word"), class_=f"mark {health}")


def outcome(told: str) -> Markup:
    """The outcome of a run, as sign and word."""
    health = of_outcome(told)
    return tag("span", sign(health), tag("span", told, class_="word"), class_=f"mark {health}")


def of_outcome(told: str) -> str:
    """The sign that an outcome gets."""
    return _OF_OUTCOME.get(told, "unknown")


def placed(name: str, x: float, y: float, size: float, *title: Content) -> Markup:
    """A sign within a drawing, its middle at a point."""
    place = {"x": round(x - size / 2, 1), "y": round(y - size / 2, 1), "width": size, "height": size}
    return tag("use", *(tag("title", one) for one in title), href=f"#s-{name}", class_=name, **place)
