"""Pictures of fleets that do not exist, for the live view: documents as daemons publish them."""

from __future__ import annotations

from typing import Any

from fleetd.tui.lines import Line
from fleetd.tui.look import Look, look_of
from fleetd.tui.model import Model
from fleetd.tui.news import Pressed, Seen, Wish
from fleetd.tui.screens.frame import frame
from fleetd.tui.update import update
from fleetd.views.picture import Document, Picture, Verb

NOW = 1_790_000_500.0
EPOCH = 1_790_000_123
LOOK = look_of("xterm-256color")
STATES = ("running", "running", "starting", "stopping", "backoff", "waiting", "stopped", "given-up")


def worker(name: str, state: str = "running", **keys: Any) -> dict[str, Any]:
    """A worker that is busy where its slot is even."""
    slot = int(name.partition(":")[2])
    runs = state in {"running", "starting", "stopping"}
    busy = state == "running" and slot % 2 == 0
    job = {"id": f"job-{slot}", "name": "Transcode", "queue": "media", "started_at": NOW - 12}
    return {
        "name": name,
        "slot": slot,
        "run": f"{slot:032x}" if runs else None,
        "pid": 4000 + slot if runs else None,
        "state": state,
        "healthy": state == "running",
        "busy": busy if state == "running" else None,
        "epoch": EPOCH if runs else None,
        "directory": "/srv/releases/42" if runs else None,
        "started_at": NOW - 3600 - slot if runs else None,
        "jobs_done": slot * 10,
        "jobs_failed": slot % 3,
        "starts": 1 + slot,
        "rss": 41_000_000 + slot,
        "cpu": 0.7,
        "output_dropped": 0,
        "jobs_in_hand": int(busy),
        "job": job if busy else None,
        "last_exit": {"code": 0, "signal": None, "reason": "max-jobs", "at": NOW - 60},
        "status": None,
        **keys,
    }


def figures(**keys: Any) -> dict[str, Any]:
    minutes = tuple(range(60))
    told = {"done": 812, "failed": 3, "per_minute": 4.25, "runtime_avg": 1.3, "runtime_p95": 2.9, "wait_p95": 0.4}
    return {**told, "by_minute": minutes, "failed_lately": 1, **keys}


def queue(name: str, **keys: Any) -> dict[str, Any]:
    depth = {"ready": 12, "delayed": 5, "due": 0, "reserved": 2, "oldest_age": 33.1, "wait": 40.2}
    return {"name": name, **depth, "wait_source": "estimated", "jobs": figures(), "all_jobs": None, **keys}


def pool(name: str, workers: int = 8, **keys: Any) -> dict[str, Any]:
    return {
        "name": name,
        "framework": "laravel",
        "state": "running",
        "paused": False,
        "numprocs": workers,
        "jobs": figures(),
        "broker": "default",
        "queues": [queue(name)],
        "classes": [],
        "workers": [worker(f"{name}:{slot}", STATES[slot % len(STATES)]) for slot in range(workers)],
        **keys,
    }


def host(name: str = "web-1", *pools: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {
        "schema": 1,
        "instance": "app",
        "host": name,
        "pid": 4242,
        "version": "0.1.0",
        "state": "running",
        "started_at": NOW - 90_000,
        "fleet": None,
        "brokers": [{"name": "default", "reachable": True, "error": None}],
        "pools": list(pools) or [pool("media"), pool("mail", 2)],
        **keys,
    }


def member(name: str = "web-1", *pools: dict[str, Any], **keys: Any) -> dict[str, Any]:
    """A host as a fleet's picture has it."""
    fleet = {"name": "acme", "connected": True, "epoch": EPOCH, "since": NOW - 500, "member": True}
    told = {"fleet": fleet, "name": f"{name}/app", "last_seen": NOW - 1, "live": True}
    return {**host(name, *pools), **told, **keys}


def incident(event: str = "crash-loop", **keys: Any) -> dict[str, Any]:
    about = {"pool": "media", "queue": None, "broker": None, "epoch": None, "worker": None}
    return {"event": event, **about, "since": NOW - 200, "count": 1, "text": "2 workers in a crash loop", **keys}


def rollout(state: str = "running", **keys: Any) -> dict[str, Any]:
    stands = (("web-1", "done", 10), ("web-2", "rolling", 4), ("web-3", "waiting", 0))
    hosts = [
        {"name": f"{name}/app", "state": how, "done": done, "total": 10, "error": None} for name, how, done in stands
    ]
    told = {"epoch": EPOCH, "state": state, "at": NOW - 183, "ended": None, "who": "kim", "label": "v42"}
    return {**told, "halted_by": None, "hosts": hosts, **keys}


def event(number: int = 0, kind: str = "worker.exited", worker: str = "media:0", **keys: Any) -> dict[str, Any]:
    at = NOW - 100 + number
    return {
        "at": at,
        "kind": kind,
        "pool": "media",
        "worker": worker,
        "fields": {},
        "text": f"{worker}: {number}",
        **keys,
    }


ALONE = Picture(NOW, (host(),))
FLEET = Picture(NOW, (member("web-1"), member("web-2"), member("web-3")), "acme", (rollout(),))


def shown(picture: Picture = ALONE, columns: int = 120, rows: int = 40, can: frozenset[Verb] | None = None) -> Model:
    """The view with a picture."""
    blank = Model(frozenset(Verb) if can is None else can, columns, rows, NOW)
    return update(blank, Seen(picture))[0]


def press(model: Model, *keys: str) -> Model:
    """The model after some keys."""
    return pressed(model, *keys)[0]


def pressed(model: Model, *keys: str) -> tuple[Model, tuple[Wish, ...]]:
    """The model after some keys, and what they wished for."""
    wishes: tuple[Wish, ...] = ()
    for key in keys:
        model, wished = update(model, Pressed(key))
        wishes += wished
    return model, wishes


def texts(model: Model, look: Look = LOOK) -> list[str]:
    """The lines of the frame without their colours."""
    return [text_of(line) for line in frame(model, look)]


def text_of(line: Line) -> str:
    return "".join(span.text for span in line.spans)


def text(model: Model, look: Look = LOOK) -> str:
    return "\n".join(texts(model, look))


def documents(count: int) -> tuple[Document, ...]:
    return tuple(event(number) for number in range(count))
