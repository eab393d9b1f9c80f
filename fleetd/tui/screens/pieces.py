"""Pieces that several screens share: a list with its titles, a pool's row, facts beside each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from fleetd.tui.documents import Worker
from fleetd.tui.figures import count, rate, runtime
from fleetd.tui.lines import Cell, Line, Span, Tone, clip, clip_left, fitted, visible, width_of
from fleetd.tui.look import Look, sparkline, strip
from fleetd.tui.model import Cursor, Model
from fleetd.tui.rows import Order, Row
from fleetd.tui.scene import Crew
from fleetd.tui.table import Column, Placed, arranged, header, row

MARGIN = 2  # columns: the mark of the row that is chosen
_EPOCH = 11  # columns

POOL_COLUMNS = (
    Column("POOL", 14, 34, 0),
    Column("STATE", 9, 9, 1),
    Column("WORKERS", 12, 400, 2),
    Column("OK", 7, 9, 3, right=True),
    Column("JOBS/MIN", 8, 8, 4, right=True),
    Column("FAILED/H", 9, 9, 5, right=True),
    Column("LAST HOUR", 9, 60, 7, right=True),
    Column("MEAN", 7, 7, 8, right=True),
    Column("P95", 7, 7, 6, right=True),
    Column("DONE", 7, 8, 9, right=True),
    Column("FAILED", 6, 7, 10, right=True),
    Column("EPOCH", _EPOCH, _EPOCH, 11, right=True),
)
_STATES = {
    "running": Tone.GOOD,
    "paused": Tone.STARTING,
    "stopping": Tone.DRAINING,
    "degraded": Tone.BACKOFF,
    "stopped": Tone.STOPPED,
    "gone": Tone.BAD,
}


def plain(text: str, tone: Tone = Tone.PLAIN) -> Cell:
    """A cell of text that may come from anybody."""
    return lambda width: [Span(clip(text, width), tone)]


def number(text: str, tone: Tone = Tone.PLAIN) -> Cell:
    """A cell of a number, at the right; "-" is dim."""
    tone = Tone.DIM if text == "-" else tone
    return lambda width: [Span(clip(text, width, right=True), tone)]


def bad_if(some: int | None) -> Tone:
    """The tone of a number that should be 0."""
    return Tone.BAD if some else Tone.PLAIN


def state_tone(state: str) -> Tone:
    """The tone of a pool's or a host's state."""
    return _STATES.get(state, Tone.PLAIN)


class Listing(NamedTuple):
    """A list: its columns, its rows, how one is drawn, and where one is in it."""

    columns: tuple[Column, ...]
    rows: Sequence[Row]
    orders: tuple[Order, ...]
    cursor: Cursor
    draw: Callable[[Row, Sequence[Placed], bool], Line]
    has_keys: bool = True


def listed(model: Model, look: Look, listing: Listing, height: int) -> list[Line]:
    """The titles, and the rows that are in sight: nothing else is built."""
    columns, found, orders, cursor, draw, has_keys = listing
    placed = arranged(columns, model.columns - MARGIN)
    mark = look.glyphs.up if cursor.reverse else look.glyphs.down
    titles = header(placed, orders[cursor.sort % len(orders)].column, mark)
    last = min(len(found), cursor.top + height)
    lines = [titles._replace(spans=[Span(" " * MARGIN, Tone.HEAD), *titles.spans])]
    for index in range(cursor.top, last):
        is_selected = has_keys and index == cursor.index
        line = draw(found[index], placed, is_selected)
        mark = look.glyphs.chosen if is_selected else " "
        lines.append(line._replace(spans=[Span(f"{mark} "), *line.spans]))
    return lines


def crew_row(look: Look, at: Row, placed: Sequence[Placed], *, is_selected: bool, indent: str, host: str = "") -> Line:
    """A pool on a host."""
    crew = at.crew
    assert crew is not None
    pool, jobs = crew.pool, crew.pool.jobs
    told = f"{indent}{pool.name}" + (f" {host}" if host else "")
    state = "gone" if not crew.host.live else pool.state
    healthy = f"{crew.healthy}/{pool.numprocs if abs(pool.numprocs) < 1_000_000 else '?'}"  # noqa: PLR2004
    cells: list[Cell] = [
        plain(told, Tone.PLAIN if crew.host.live else Tone.DIM),
        plain(state, state_tone(state)),
        lambda width: strip(crew.shapes, crew.tally, look, width),
        number(healthy, Tone.GOOD if crew.healthy >= pool.numprocs else Tone.BACKOFF),
        number(rate(jobs.per_minute), Tone.FIGURE),
        number(count(jobs.failed_lately), bad_if(jobs.failed_lately)),
        lambda width: sparkline(jobs.by_minute, look, width),
        number(runtime(jobs.runtime_avg)),
        number(runtime(jobs.runtime_p95)),
        number(count(jobs.done)),
        number(count(jobs.failed)),
        _epochs(crew),
    ]
    return row(placed, cells, is_selected=is_selected)


def epochs(crew: Crew) -> str:
    """The workers' epoch, "-" of those that were started under none; two of them while they are replaced."""
    known = sorted({worker.epoch or 0 for worker in crew.pool.workers if worker.pid is not None})
    shown = ["-" if epoch == 0 else str(epoch) for epoch in known]
    return "-" if not shown else shown[0] if len(shown) == 1 else f"{shown[0]}..{shown[-1]}"


def _epochs(crew: Crew) -> Cell:
    """Where two do not fit, the newer one is shown, at the end."""
    shown = epochs(crew)
    return number(clip_left(shown, min(_EPOCH, len(shown))))


def job_of(worker: Worker) -> str:
    """The job in hand, or what the worker says of itself; not yet safe for a terminal."""
    job = worker.job
    if job is None:
        return worker.status or ""
    more = f" +{worker.jobs_in_hand - 1}" if worker.jobs_in_hand is not None and worker.jobs_in_hand > 1 else ""
    return f"{job.name or job.id or 'a job'}{more}" + (f" ({job.queue})" if job.queue else "")


def exit_of(worker: Worker) -> str:
    """How the last run ended; not yet safe for a terminal."""
    last = worker.last_exit
    if last is None:
        return ""
    how = f" code {last.code}" if last.code is not None else ""
    how += f" signal {last.signal}" if last.signal is not None and last.reason != "signal" else ""
    how += f" {last.signal}" if last.signal is not None and last.reason == "signal" else ""
    return f"{last.reason}{how}"


def facts(pairs: Iterable[tuple[str, str, Tone]], width: int, most: int) -> list[Line]:
    """Facts side by side, as many lines as they take, `most` at most; those without a value are left out."""
    lines: list[list[Span]] = [[]]
    left = width
    for name, value, tone in pairs:
        if value in {"", "-"}:
            continue
        told = [Span(f" {visible(name)} ", Tone.DIM), Span(visible(value[: width * 2]), tone), Span("  ")]
        taken = width_of(told)
        if taken > left and lines[-1]:
            lines.append([])
            left = width
        lines[-1] += told
        left -= taken
    return [Line(fitted(spans, width)) for spans in lines[:most] if spans]
