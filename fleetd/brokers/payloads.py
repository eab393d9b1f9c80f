"""Fields of a job's JSON, also where only its beginning and its end are at hand: a payload may have megabytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fleetd.core.moments import moment

_FORWARD = re.compile(r"""\s*+("(?:[^"\\]|\\.)*+"|[{}\[\]:,]|[^\s"{}\[\]:,]++)""", re.DOTALL)
# From the end: a quote before which stands a backslash is inside of a string, any other begins or ends one.
_BACKWARD = re.compile(r"""\s*+("(?:[^"]|"(?=\\))*+"|[{}\[\]:,]|[^\s"{}\[\]:,]++)""", re.DOTALL)
_LONGEST = 128  # characters of a name or value that is of use here


def enqueued_at(pieces: Sequence[bytes], names: Sequence[str]) -> float | None:
    """Unix seconds under the first of the names that is there with a time; None: under none.  Raises nothing.

    `pieces` are the whole payload, or its beginning and its end.  `a.b` is the name itself, else `b` in the object `a`.
    """
    documents = [whole(pieces[0])] if len(pieces) == 1 else [end(_text(pieces[1])), beginning(_text(pieces[0]))]
    moments = (moment(field(document, name)) for name in names for document in documents)
    return next((found for found in moments if found is not None), None)


def field(document: object, name: str) -> object:
    """The value under a name, with dots between the objects it is in; None where there is none."""
    if not isinstance(document, dict):
        return None
    if name in document:
        return document[name]
    outer, dot, inner = name.partition(".")
    return field(document.get(outer), inner) if dot else None


def whole(payload: bytes) -> object:
    """The JSON document; None for what is none."""
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return None


def beginning(text: str) -> Mapping[str, Any]:
    """The fields of a JSON object whose text is cut off somewhere; what stands in lists is left out."""
    opened: list[dict[str, Any] | None] = []  # None: a list, or something in one
    top: dict[str, Any] | None = None
    last: str | None = None  # the text before, a name or a value
    name: str | None = None
    for word in _words(_FORWARD, text):
        inside = opened[-1] if opened else None
        if word in "{[":
            deeper: dict[str, Any] | None = {} if word == "{" and (inside is not None or not opened) else None
            if inside is not None and name is not None:
                inside[name] = deeper
            top = deeper if not opened else top
            opened.append(deeper)
            name = last = None
        elif word == ":":
            name, last = _name(last), None
        elif word in ",}]":
            if inside is not None and name is not None and last is not None:
                inside[name] = _value(last)
            name = last = None
            if word != "," and opened:
                opened.pop()
        else:
            last = word
    return top or {}


def end(text: str) -> Mapping[str, Any]:
    """The fields of a JSON object of which only the end is there; what stands in lists is left out."""
    opened: list[dict[str, Any] | None] = []
    value: object = None
    is_named = False  # what comes next is the name of `value`
    # A quote that the text begins with may be one of a string's own, whose backslash is cut off.
    for backward in _words(_BACKWARD, text.removeprefix('"')[::-1]):
        word = backward[::-1]
        if word in "}]":
            opened.append({} if word == "}" else None)
        elif word in "{[":
            if len(opened) <= 1:
                break
            value = opened.pop()
        elif word == ":":
            is_named = True
        elif word == ",":
            value = None
        elif is_named:
            name, inside = _name(word), opened[-1] if opened else None
            if inside is not None and name is not None:
                inside.setdefault(name, value)
            is_named, value = False, None
        else:
            value = _value(word)
    return (opened[0] if opened else None) or {}


def _words(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    """The words of JSON, up to the first that is cut off."""
    position = 0
    while (match := pattern.match(text, position)) is not None:
        yield match[1]
        position = match.end()


def _name(token: str | None) -> str | None:
    value = None if token is None else _value(token)
    return value if isinstance(value, str) else None


def _value(token: str) -> object:
    try:
        return json.loads(token) if len(token) <= _LONGEST else None
    except ValueError:
        return None


def _text(piece: bytes) -> str:
    return piece.decode(errors="replace")
