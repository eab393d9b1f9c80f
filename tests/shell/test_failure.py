"""What a forked child tells the keeper is passed on only where it is well formed: an application may have told it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fleetd.keeper.failure import LONGEST_PATH, LONGEST_TEXT, StartError, answer_of

NONSENSE = StartError("start", "the worker's process answered nonsense").report


def told(answer: Any) -> dict[str, Any]:
    return answer_of(json.dumps(answer).encode())


def test_what_our_own_children_tell_is_passed_on() -> None:
    assert told({"directory": "/srv/app"}) == {"directory": "/srv/app"}
    assert told({"directory": "/srv/\udcff"}) == {"directory": "/srv/\udcff"}
    for error in (StartError("program", 2, "/no"), StartError("env-file", "has no =", "/e", 3)):
        assert told(error.report) == error.report


@pytest.mark.parametrize(
    "answer",
    [
        *({"directory": wrong} for wrong in (5, "", "app", "/a\0b", "/" + "x" * LONGEST_PATH, "/\ud800", ["/"])),
        *([], 1, None, {}, {"stage": 5}, {"stage": "program", "what": 5}, {"stage": "x", "problem": {}}),
    ],
)
def test_anything_else_is_nonsense(answer: Any) -> None:
    assert told(answer) == NONSENSE
    assert answer_of(b"{") == NONSENSE


def test_texts_are_bounded_and_numbers_are_the_kernels() -> None:
    answer = told({"stage": "s" * 9999, "what": "\ud800", "errno": 1 << 40, "line": "3"})
    assert len(answer["stage"]) == LONGEST_TEXT
    assert (answer["what"], answer["line"], answer["problem"]) == ("\\ud800", None, "unknown reason")
