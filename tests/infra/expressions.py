"""Evaluates the expressions of a Logic App's definition and of the portal's form, as far as this project writes them.

https://learn.microsoft.com/azure/logic-apps/workflow-definition-language-functions-reference and
https://learn.microsoft.com/azure/azure-resource-manager/managed-applications/create-ui-definition-functions: both
have the syntax, and functions that one of the two calls by another name have the same meaning.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

_TOKENS = re.compile(r"\s*('(?:[^']|'')*'|-?\d+|\w+|[()\[\],.?])")

_DATE_FORMATS = {"yyyy-MM-dd HH:mm": "%Y-%m-%d %H:%M"}

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": lambda one, other: one + other,
    "coalesce": lambda *values: next((value for value in values if value is not None), None),
    "concat": lambda *texts: "".join(map(_text, texts)),
    "empty": lambda value: not value,
    "formatDateTime": lambda text, form: datetime.fromisoformat(text).strftime(_DATE_FORMATS[form]),
    "equals": lambda one, other: one == other,
    "if": lambda condition, yes, no: yes if condition else no,
    "json": json.loads,
    "length": len,
    "lessOrEquals": lambda one, other: one <= other,
    "parse": json.loads,
    "replace": lambda text, old, new: text.replace(old, new),
    "split": lambda text, at: text.split(at),
    "uriComponent": lambda text: quote(text, safe="-_.!~*'()"),
}


def evaluate(text: str, functions: Mapping[str, Callable[..., Any]]) -> Any:
    """Evaluate one expression; `functions` are those that the surroundings give it, such as `triggerBody`."""
    tokens = _TOKENS.findall(text)
    assert "".join(tokens) == re.sub(r"\s+(?=(?:[^']*'[^']*')*[^']*$)", "", text), f"not an expression: {text}"
    value = _Parser(tokens, {**_FUNCTIONS, **functions}).expression()
    assert not tokens, f"left of {text}: {tokens}"
    return value


def filled(template: Any, functions: Mapping[str, Callable[..., Any]]) -> Any:
    """Fill a part of a Logic App's definition: every text that is an expression, or has one in `@{}`, is evaluated."""
    match template:
        case dict():
            return {name: filled(value, functions) for name, value in template.items()}
        case list():
            return [filled(value, functions) for value in template]
        case str() if template.startswith("@") and not template.startswith(("@@", "@{")):
            return evaluate(template[1:], functions)
        case str():
            return re.sub(r"@\{(.*?)\}", lambda found: _text(evaluate(found[1], functions)), template)
    return template


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


class _Parser:
    """Takes tokens from the front of a list, and evaluates what they say. All arguments are evaluated."""

    def __init__(self, tokens: list[str], functions: Mapping[str, Callable[..., Any]]) -> None:
        self._tokens = tokens
        self._functions = functions

    def expression(self) -> Any:
        value = self._primary()
        while self._tokens and self._tokens[0] in {"?", "[", "."}:
            value = self._member(value)
        return value

    def _primary(self) -> Any:
        token = self._tokens.pop(0)
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if re.fullmatch(r"-?\d+", token):
            return int(token)
        return self._functions[token](*self._arguments())

    def _arguments(self) -> list[Any]:
        self._expect("(")
        values = []
        while self._tokens[0] != ")":
            values.append(self.expression())
            if self._tokens[0] == ",":
                self._tokens.pop(0)
        self._expect(")")
        return values

    def _member(self, value: Any) -> Any:
        optional = self._tokens[0] == "?"
        if optional:
            self._tokens.pop(0)
        if self._tokens.pop(0) == ".":
            key = self._tokens.pop(0)
        else:
            key = self.expression()
            self._expect("]")
        if value is None and optional:
            return None
        assert isinstance(value, dict | list), f"{key!r} of {value!r}"
        return value.get(key) if optional and isinstance(value, dict) else value[key]

    def _expect(self, token: str) -> None:
        found = self._tokens.pop(0)
        assert found == token, f"{token} expected, found {found}"
