"""What people read of an incident, in a chat or by a command."""

from __future__ import annotations

from typing import Any

import pytest

from fleetd.core.alerts import Unit, Word
from fleetd.core.incident import Message, Told
from fleetd.views.alert_text import LONGEST, document


def told(word: Word = Word.CRASH_LOOP, state: Told = Told.OPENED, fleet: str | None = "acme", **changed: Any) -> Any:
    fields: dict[str, Any] = {"pool": "media", "queue": None, "broker": None, "epoch": None, "worker": None}
    fields |= {"error": None, "since": 1790000000.0, "ended": None, "value": None, "threshold": None, "count": 1}
    fields |= {"hosts": ("h2/app", "h1/app", "h1/other"), "begun": 0.0}
    message = Message("a1 crash-loop media", "a1", word, state, **(fields | changed))
    return document(message, fleet=fleet, host="h1", instance="app")


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (
            told(value=2, worker="media:0", error="no table"),
            "OPENED crash-loop media (acme: h1, h2): 2 workers in a crash loop; media:0: no table",
        ),
        (told(fleet=None, hosts=()), "OPENED crash-loop media (h1)"),
        (
            told(state=Told.RECOVERED, ended=1790000130.0, value=2, error="x"),
            "RECOVERED crash-loop media (acme: h1, h2) after 2 min 10 s",
        ),
        (
            told(Word.LONG_WAIT, queue="high", value=95.0),
            "OPENED long-wait media queue high (acme: h1, h2): jobs wait for 1 min 35 s",
        ),
        (told(value=1), "OPENED crash-loop media (acme: h1, h2): 1 worker in a crash loop"),
        (
            told(Word.JOB_FAILURES, value=0.37, unit=Unit.SHARE),
            "OPENED job-failures media (acme: h1, h2): 37% of jobs failed",
        ),
        (
            told(Word.JOB_FAILURES, value=1.0, unit=Unit.SHARE),
            "OPENED job-failures media (acme: h1, h2): 100% of jobs failed",
        ),
        (told(Word.JOB_FAILURES, value=1.0), "OPENED job-failures media (acme: h1, h2): 1 failed job"),
        (told(Word.JOB_FAILURES, value=12.0), "OPENED job-failures media (acme: h1, h2): 12 failed jobs"),
        (
            told(Word.ROLLOUT_HALTED, pool=None, epoch=1790000123, worker="media:0", error="exited"),
            "OPENED rollout-halted epoch 1790000123 (acme: h1, h2): media:0: exited",
        ),
        (
            told(Word.BROKER_LOST, pool=None, broker="default", error="refused"),
            "OPENED broker-lost broker default (acme: h1, h2): refused",
        ),
    ],
)
def test_one_line_says_it_all(document: dict[str, Any], text: str) -> None:
    assert document["text"] == text


def test_what_workers_say_calls_nobody_and_moves_no_cursor() -> None:
    said = told(worker="media:0", error="<!channel> @here \x1b[31mred\x1b[0m & \u202eevil\n" + "x" * 9999)
    assert "&lt;!channel&gt; @\u200bhere red &amp; \\u202eevil" in said["text"]
    assert len(said["text"]) < LONGEST + 200
    assert said["error"].startswith("<!channel> @here red & \\u202eevil"), "for programs as it is"
    assert "\n" not in said["error"]


def test_the_facts_beside_it() -> None:
    said = told(value=2, threshold=0.0)
    assert {key: said[key] for key in ("event", "state", "fleet", "host", "hosts", "instance", "value")} == {
        "event": "crash-loop", "state": "opened", "fleet": "acme", "host": "h1", "hosts": ["h1", "h2"],
        "instance": "app", "value": 2,
    }  # fmt: skip
    assert "http" not in str(said)


def test_names_move_no_cursor_either() -> None:
    document = told(pool="a\nb", queue="q\x1b[2J\nFLEETD", broker="\u202ex")
    assert (document["pool"], document["queue"], document["broker"]) == ("a\\x0ab", "q\\x0aFLEETD", "\\u202ex")


def test_what_a_figure_is_stands_beside_it() -> None:
    assert told(Word.JOB_FAILURES, value=1.0, threshold=0.25, unit=Unit.SHARE)["unit"] == "share"
    assert told(Word.BROKER_LOST, broker="default")["unit"] is None
