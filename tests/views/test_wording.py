"""Every kind of fact has a sentence and a row in docs/events.md."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from fleetd.core.facts import Fact, Kind, Value
from fleetd.views.wording import WARNINGS, exit_text, sentence
from tests.support.events_page import documented

EXAMPLES: Mapping[str, Value] = {
    "bytes": 70, "busy": True, "change": "rolled", "code": 3, "directory": "/srv/r1", "done": 2, "duration": 1.25,
    "error": "no space left on device", "exits": 20, "failures": 5, "instance": "media", "job": "j-1", "jobs_done": 4,
    "jobs_failed": 1, "keys": ("env", "user"), "label": "v2", "lines": ("one", "last words"), "lived": 0.5,
    "longest_drain": 0.25, "numprocs": 3, "pending": 2, "phase": "healthy", "pid": 42, "pids": ("7", "8"),
    "planned": False, "reason": "exit", "rollout": 9, "run": "6f0c", "signal": None, "slots": 4, "version": "0.1.0",
    "wait": 1.5, "rss": 43_000_000, "before": 20_000_000, "seconds": 0.4, "threads": 2, "how": "signal 9",
    "epochs": ("1790000123",), "key": "pool:media", "epoch": 1790000123, "was": None, "value": "soon", "fleet": "acme",
    "member": "media-1/app", "replaced": None, "broker": "default", "id": "j-1", "name": "Encode", "queue": "media",
    "ran": 2.5, "on": "crash-loop", "subject": None, "since": 1790000000.5, "hosts": ("media-1/app",), "count": 1,
    "lasted": 61.0, "told": "opened", "via": "webhook https://hooks.example", "attempts": 1, "again": True,
}  # fmt: skip

SENTENCES = {
    Kind.DAEMON_STARTED: "fleetd 0.1.0 started: instance media, pid 42",
    Kind.WORKER_STARTED: "media:0: started (pid 42) in /srv/r1",
    Kind.WORKER_DRAINING: "media:0: draining (pid 42), reason exit, busy",
    Kind.WORKER_DRAIN_REPEATED: "media:0: told again to end (pid 42), reason exit: it had not heard",
    Kind.WORKER_EXITED: "media:0: ended unplanned with code 3, reason exit, after 0.5 s, with job j-1 in hand; "
    "last line: last words",
    Kind.JOB_INTERRUPTED: "media:0: job Encode j-1 of media was interrupted after 2.5 s",
    Kind.BROKER_LOST: "broker default: cannot be read: no space left on device; its queues are not known",
    Kind.WORKER_BACKOFF: "media:0: is tried again in 1.5 s (5 failure(s) in a row)",
    Kind.POOL_CHANGED: "media: rolled: env, user",
    Kind.ROLLOUT_HALTED: "media:0: rollout halted: exit; 2 slot(s) keep the release they had; last line: last words",
    Kind.OUTPUT_DROPPED: "media:0: output is dropped: no space left on device (70 bytes so far)",
    Kind.ALERT_OPENED: "media:0: alert: crash-loop on media-1/app: no space left on device",
    Kind.ALERT_RECOVERED: "media: alert: crash-loop is over after 61 s",
    Kind.ALERT_FAILED: "media: alert: the webhook https://hooks.example could not be told of crash-loop (opened): "
    "no space left on device; it is tried again",
    Kind.QUEUE_LONG_WAIT: "media: queue media: jobs wait for 1.5 s",
    Kind.TEMPLATE_READY: "media: preloaded in /srv/r1 (template: pid 42, 43 MB in 0.4 s)",
    Kind.TEMPLATE_THREADED: "media: preload started 1 thread(s), which workers do not have: start them in the worker "
    "instead",
    Kind.TEMPLATE_ENDED: "media: the template (pid 42) ended by itself: signal 9",
    Kind.TEMPLATE_LEAKED: "media: the template (pid 42) grew from 20 to 43 MB and is replaced",
}


def fact(kind: Kind, **changed: Value) -> Fact:
    about_worker = kind.startswith(("worker.", "job.", "output.", "rollout.progress", "rollout.halted", "alert.opened"))
    about_pool = about_worker or kind.startswith(("pool.", "rollout.", "template.", "queue.", "alert."))
    fields = {name: {**EXAMPLES, **changed}[name] for name in documented()[kind].fields}
    return Fact(kind, "media" if about_pool else None, "media:0" if about_worker else None, fields)


def test_the_page_has_every_kind_and_no_other() -> None:
    assert list(documented()) == [kind.value for kind in Kind]
    assert {kind for kind, row in documented().items() if row.is_warning} == WARNINGS


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_one_line_made_of_its_documented_fields(kind: Kind) -> None:
    text = sentence(fact(kind))
    assert text
    assert text.isprintable()
    subject = fact(kind).worker or fact(kind).pool
    assert text.startswith(f"{subject}: ") if subject else ":" in text


@pytest.mark.parametrize(("kind", "text"), SENTENCES.items())
def test_sentences(kind: Kind, text: str) -> None:
    assert sentence(fact(kind)) == text


def test_a_planned_exit_is_not_called_unplanned() -> None:
    planned = fact(Kind.WORKER_EXITED, planned=True, job=None, lines=(), code=0, reason="max-jobs")
    assert sentence(planned) == "media:0: ended with code 0, reason max-jobs, after 0.5 s"


@pytest.mark.parametrize(
    ("code", "signal", "text"),
    [(1, None, "code 1"), (None, 9, "signal 9 (KILL)"), (None, 36, "signal 36 (RTMIN+2)"),
     (None, None, "an unknown exit code")],
)  # fmt: skip
def test_how_a_process_ended(code: int | None, signal: int | None, text: str) -> None:
    assert exit_text(code, signal) == text


def test_a_daemon_says_whose_place_it_took() -> None:
    said = sentence(fact(Kind.DAEMON_STARTED, replaced="0.0.9"))
    assert said == "fleetd 0.1.0 started: instance media, pid 42, in the place of 0.0.9"
