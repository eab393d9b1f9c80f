"""Fields of a payload, whole or in two pieces."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetd.brokers.payloads import beginning, end, enqueued_at, field, whole

AT = 1795680682

NAMES = st.one_of(st.text(max_size=6), st.sampled_from(["a", "b", "created_at", 'a"b', "a\\", "{", "}", ":", "a.b"]))
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=9))
DOCUMENTS = st.dictionaries(
    NAMES,
    st.recursive(
        SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3))
    ),
    max_size=5,
)


def without_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_lists(inner) for name, inner in value.items()}
    return None if isinstance(value, list) else value


def is_part(found: Any, document: Any) -> bool:
    """Whether everything found is in the document; objects may lack fields."""
    if isinstance(found, dict) and isinstance(document, dict):
        return all(name in document and is_part(value, document[name]) for name, value in found.items())
    return found is None or found == document


@settings(max_examples=100)
@given(DOCUMENTS, st.booleans(), st.sampled_from([None, 1]))
def test_a_text_that_is_not_cut_off_is_read_whole_from_both_sides(
    document: dict[str, Any], ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent)
    assert beginning(text) == without_lists(document)
    assert end(text) == without_lists(document)


def test_a_quote_that_is_cut_off_its_backslash_begins_no_name() -> None:
    assert end('"": null}') == {}
    assert end('"a": 1, "b": 2}') == {"b": 2}


@settings(max_examples=100)
@given(DOCUMENTS, st.data())
def test_of_a_text_that_is_cut_off_nothing_wrong_is_read(document: dict[str, Any], data: st.DataObject) -> None:
    text = json.dumps(document)
    cut = data.draw(st.integers(0, len(text)))
    assert is_part(beginning(text[:cut]), document)
    assert is_part(end(text[cut:]), document)


@settings(max_examples=100)
@given(st.dictionaries(st.text(max_size=5), SCALARS, min_size=1, max_size=4), st.text(min_size=50), st.data())
def test_what_stands_before_or_after_the_cut_is_found(
    fields: dict[str, Any], padding: str, data: st.DataObject
) -> None:
    padded = json.dumps({"padding that is no name of a field": {"x": padding}})[1:-1]
    inner = json.dumps(fields)[1:-1]
    cut = data.draw(st.integers(len(padded) // 2, len(padded) - 2))
    assert end(f"{{{padded}, {inner}}}"[cut:]) == fields
    assert beginning(f"{{{inner}, {padded}}}"[: -cut + 2]).items() >= fields.items()


@settings(max_examples=100)
@given(st.text(), st.binary())
def test_nothing_raises(text: str, payload: bytes) -> None:
    beginning(text)
    end(text)
    enqueued_at([payload], ["a"])
    enqueued_at([payload, payload], ["a.b"])


@pytest.mark.parametrize("text", ["{" * 12288, "[" * 12288, "}" * 12288, '"' * 12288, "\\" * 12288, '"\\' * 6144])
def test_every_text_is_read_in_linear_time(text: str) -> None:
    began = time.process_time()
    beginning(text)
    end(text)
    assert time.process_time() - began < 1


def test_names_with_dots() -> None:
    document = {"a": {"b": {"c": 1}, "b.d": 2}, "a.e": 3}
    assert [field(document, name) for name in ("a.b.c", "a.b.d", "a.e", "a.x", "x.y", "a.b.c.d")] == [
        1,
        2,
        3,
        None,
        None,
        None,
    ]


def test_the_first_name_that_has_a_time_counts() -> None:
    payload = json.dumps({"createdAt": None, "meta": {"at": AT}, "pushedAt": AT + 1}).encode()
    assert enqueued_at([payload], ["createdAt", "meta.at", "pushedAt"]) == AT
    assert enqueued_at([payload], ["pushedAt", "meta.at"]) == AT + 1
    assert enqueued_at([payload], ["nothing"]) is None
    assert enqueued_at([payload[:20], payload[20:]], ["pushedAt"]) == AT + 1
    assert enqueued_at([payload[:20], b"?"], ["createdAt"]) is None
    assert whole(b"[" * 100_000) is None
