"""The status document as a table: one line for each pool, followed by one for each of its workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from fleetd.views.control_characters import made_visible

HEADER = ("NAME", "STATE", "PID", "UPTIME", "DONE", "FAILED", "MEMORY", "WHAT")
_RIGHT = frozenset({2, 3, 4, 5, 6})  # columns of numbers
_UNKNOWN = "-"


class Tone(StrEnum):
    """How well a row is."""

    PLAIN = "plain"
    GOOD = "good"
    BUSY = "busy"
    WORRYING = "worrying"
    BAD = "bad"


class Row(NamedTuple):
    """One line of the table: a text for each column of HEADER, and the tone of its state."""

    cells: tuple[str, ...]
    tone: Tone


_TONES: Mapping[str, Tone] = {
    "running": Tone.GOOD,
    "starting": Tone.BUSY,
    "stopping": Tone.BUSY,
    "paused": Tone.BUSY,
    "waiting": Tone.BUSY,
    "degraded": Tone.WORRYING,
    "backoff": Tone.WORRYING,
    "given-up": Tone.BAD,
}


def rows(document: Mapping[str, Any], now: float) -> Iterator[Row]:
    """The rows of a status document, as of `now` (Unix seconds); every text in them is safe for a terminal."""
    unread = {broker["name"]: broker for broker in document.get("brokers", ()) if broker["reachable"] is False}
    for pool in document["pools"]:
        about = _of_pool(pool, unread.get(pool.get("broker")))
        yield _row(pool["name"], pool["state"], (None, None, *_jobs(pool), _memory(pool)), about)
        for queue in pool["queues"]:
            if about := _of_queue(queue):
                yield _row(f"  {queue['name']}", "queue", (None, None, *_jobs(queue), None), about)
        for worker in pool["workers"]:
            since = worker["started_at"]
            age = None if since is None else span(now - since)
            numbers = (worker["pid"], age, worker["jobs_done"], worker["jobs_failed"], worker["rss"])
            yield _row(f"  {worker['name']}", worker["state"], numbers, _of_worker(worker, now))


def aligned(
    table: Sequence[Row],
    width: int | None = None,
    header: tuple[str, ...] = HEADER,
    right: frozenset[int] = _RIGHT,
) -> list[tuple[str, str, str, Tone]]:
    """The header and each row: text before its state, the state, text after it cut to `width` columns, and the tone.

    The state is the second column; `right` are the columns of numbers.
    """
    lines = [Row(header, Tone.PLAIN), *table]
    widths = [max(_columns(line.cells[column]) for line in lines) for column in range(len(header))]
    return [_cut(line, widths, width, right) for line in lines]


def span(seconds: float) -> str:
    """A time span in its two greatest units: "3d 4h", "12m 5s"."""
    rest = max(0, int(seconds))
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or parts or unit == "s":
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])


def size(count: int) -> str:
    """Bytes with a unit: "41.0M"."""
    amount = float(count)
    for unit in ("B", "K", "M", "G"):
        if amount < 1024:  # noqa: PLR2004 - the base of the units
            return f"{amount:.1f}{unit}" if unit != "B" else f"{count}B"
        amount /= 1024
    return f"{amount:.1f}T"


def _row(name: str, state: str, numbers: tuple[Any, ...], what: str) -> Row:
    pid, age, done, failed, memory = numbers
    known = (pid, age, done, failed, None if memory is None else size(memory))
    cells = (name, state, *(_UNKNOWN if each is None else str(each) for each in known), what)
    return Row(tuple(made_visible(cell) for cell in cells), _TONES.get(state, Tone.PLAIN))


def _jobs(about: Mapping[str, Any]) -> tuple[Any, Any]:
    """Done and failed, of a pool or a queue."""
    jobs = about.get("jobs", {})
    return jobs.get("done"), jobs.get("failed")


def _memory(pool: Mapping[str, Any]) -> int | None:
    known = [worker["rss"] for worker in pool["workers"] if worker["rss"] is not None]
    return sum(known) if known else None


def _of_pool(pool: Mapping[str, Any], unread: Mapping[str, Any] | None) -> str:
    healthy = sum(worker["healthy"] and worker["state"] == "running" for worker in pool["workers"])
    told = [f"{healthy} of {pool['numprocs']} healthy"]
    if pool["jobs"]["per_minute"] is not None:
        told.append(f"{pool['jobs']['per_minute']:g} jobs/min")
    if pool["jobs"]["runtime_avg"] is not None:
        told.append(f"{pool['jobs']['runtime_avg']:.3g}s each")
    waiting = [queue["ready"] for queue in pool["queues"] if queue["ready"] is not None]
    if waiting:
        told.append(f"{sum(waiting)} waiting")
    if unread is not None:
        told.append(f"queues not known: broker {unread['name']}: {unread['error']}")
    return ", ".join(told)


def _of_queue(queue: Mapping[str, Any]) -> str:
    """How full a queue is; nothing where its broker tells nothing."""
    counts = (("ready", "ready"), ("due", "due"), ("delayed", "delayed"), ("reserved", "in hand"))
    told = [
        f"{queue[key]} {word}" for key, word in counts if queue.get(key) or (key == "ready" and queue["ready"] == 0)
    ]
    if queue.get("oldest_age") is not None:
        told.append(f"oldest {span(queue['oldest_age'])}")
    elif queue.get("wait"):
        told.append(f"wait about {span(queue['wait'])}")
    return ", ".join(told)


def _of_worker(worker: Mapping[str, Any], now: float) -> str:
    job = worker["job"]
    if job is not None:
        what = job["name"] or job["id"] or "a job"
        queue = f" ({job['queue']})" if job["queue"] else ""
        return f"{what}{queue} for {span(now - job['started_at'])}"
    if worker.get("status"):
        return str(worker["status"])
    if worker["state"] == "running":
        return "idle" if worker["busy"] is False else ""
    return _of_exit(worker["last_exit"], now)


def _of_exit(last: Mapping[str, Any] | None, now: float) -> str:
    if last is None:
        return ""
    word = "" if last["reason"] == "signal" else "signal "
    how = "" if last["signal"] is None else f" {word}{last['signal']}"
    how = how if last["code"] is None else f" code {last['code']}"
    return f"last exit {span(now - last['at'])} ago: {last['reason']}{how}"


def _cut(line: Row, widths: Sequence[int], width: int | None, right: frozenset[int]) -> tuple[str, str, str, Tone]:
    name, state, *rest = (
        _padded(cell, widths[column], right=column in right) for column, cell in enumerate(line.cells)
    )
    before, after = f"{name}  ", ("  " + "  ".join(rest)).rstrip()
    room = None if width is None else max(0, width - _columns(before) - _columns(state))
    return before, state, _fitting(after, room), line.tone


def _padded(cell: str, width: int, *, right: bool) -> str:
    space = " " * (width - _columns(cell))
    return space + cell if right else cell + space


def _fitting(text: str, room: int | None) -> str:
    if room is None or _columns(text) <= room:
        return text
    while text and _columns(text) > room - 1:
        text = text[:-1]
    return f"{text}…" if room else ""


def _columns(text: str) -> int:
    """How many columns of a terminal the text takes: two for the wide characters of East Asian writing."""
    if text.isascii():
        return len(text)
    from unicodedata import east_asian_width  # noqa: PLC0415 - a megabyte, seldom needed

    return sum(2 if east_asian_width(each) in "WF" else 1 for each in text)
