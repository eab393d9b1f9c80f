"""A pool on a host: its figures, its queues, and its workers one by one."""

from __future__ import annotations

from collections.abc import Sequence

from fleetd.tui.figures import age, clock, count, memory, percent, rate, runtime, since
from fleetd.tui.lines import Cell, Line, Span, Tone, clip_left, fitted
from fleetd.tui.look import TONES, Look, sparkline
from fleetd.tui.model import Model
from fleetd.tui.rows import WORKERS, Row, rows
from fleetd.tui.scene import Crew
from fleetd.tui.screens.pieces import Listing, bad_if, epochs, exit_of, facts, job_of, listed, number, plain, state_tone
from fleetd.tui.table import Column, Placed, row

_COLUMNS = (
    Column("WORKER", 9, 28, 0),
    Column("STATE", 10, 10, 1),
    Column("PID", 7, 8, 2, right=True),
    Column("UPTIME", 7, 8, 3, right=True),
    Column("JOB", 12, 90, 4),
    Column("FOR", 7, 8, 5, right=True),
    Column("DONE", 6, 8, 7, right=True),
    Column("FAILED", 6, 7, 9, right=True),
    Column("MEMORY", 7, 8, 8, right=True),
    Column("CPU", 6, 7, 10, right=True),
    Column("STARTS", 6, 7, 11, right=True),
    Column("LAST EXIT", 16, 44, 6),
)
_MOST_FACTS = 4  # lines


def _above(model: Model, room: int) -> int:
    """Lines of facts."""
    scene = model.scene
    crew = None if scene is None else scene.crew(model.place.host, model.place.pool)
    return 1 if crew is None else len(_facts(model, crew, room))


def heights(model: Model, room: int) -> tuple[int, int]:
    """Rows of the workers."""
    return max(0, room - _above(model, room) - 2), 0


def draw(model: Model, look: Look, room: int, _top: int) -> list[Line]:
    """Facts, and a list."""
    scene = model.scene
    crew = None if scene is None else scene.crew(model.place.host, model.place.pool)
    if crew is None:
        return [Line([Span("  this pool is gone; Esc goes back", Tone.WORRYING)])]
    found = rows(model)

    def of_workers(at: Row, placed: Sequence[Placed], is_selected: bool) -> Line:  # noqa: FBT001 - as `listed` calls it
        return _worker(model, look, at, placed, is_selected=is_selected)

    height = heights(model, room)[0]
    told = [*_facts(model, crew, room), _hour(model, look, crew)]
    listing = Listing(_COLUMNS, found, WORKERS, model.place.cursor, of_workers)
    lines = listed(model, look, listing, height)
    if not found:
        lines.append(Line([Span("  no workers" + (" of that kind" if model.place.filter else ""), Tone.DIM)]))
    return told + lines


def _facts(model: Model, crew: Crew, room: int) -> list[Line]:
    pool, jobs = crew.pool, crew.pool.jobs
    state = f"{pool.state}, paused" if pool.paused and pool.state != "paused" else pool.state
    healthy = f"{crew.healthy} of {pool.numprocs}"
    pairs = [
        ("pool", pool.name, Tone.STRONG),
        ("on", crew.host.name, Tone.PLAIN),
        ("framework", pool.framework, Tone.PLAIN),
        ("state", state, state_tone(pool.state)),
        ("healthy", healthy, Tone.GOOD if crew.healthy >= pool.numprocs else Tone.BACKOFF),
        ("epoch", epochs(crew), Tone.PLAIN),
        ("done", count(jobs.done), Tone.PLAIN),
        ("failed", count(jobs.failed), Tone.PLAIN),
        ("failed/h", count(jobs.failed_lately), bad_if(jobs.failed_lately)),
        ("jobs/min", rate(jobs.per_minute), Tone.FIGURE),
        ("runtime", runtime(jobs.runtime_avg), Tone.PLAIN),
        ("p95", runtime(jobs.runtime_p95), Tone.PLAIN),
        ("wait p95", runtime(jobs.wait_p95), Tone.PLAIN),
        *((f"queue {queue.name[:40]}", _queue(queue.ready, queue.oldest_age), Tone.PLAIN) for queue in pool.queues[:8]),
    ]
    return facts(pairs, model.columns, min(_MOST_FACTS, max(1, room // 4)))


def _queue(ready: int | None, oldest: float | None) -> str:
    return "-" if ready is None else f"{count(ready)} ready" + ("" if oldest is None else f", oldest {age(oldest)}")


def _hour(model: Model, look: Look, crew: Crew) -> Line:
    minutes = crew.pool.jobs.by_minute
    if minutes is None:
        return Line()
    spans = [Span(" last hour ", Tone.DIM), *sparkline(minutes, look, min(60, len(minutes), model.columns - 20))]
    return Line(fitted(spans, model.columns))


def _worker(model: Model, look: Look, at: Row, placed: Sequence[Placed], *, is_selected: bool) -> Line:
    worker = at.worker
    assert worker is not None
    shape, job, last = worker.shape, worker.job, worker.last_exit
    about = job_of(worker)
    ended = exit_of(worker)
    when = "" if last is None or last.at is None else f", {clock(last.at)}"
    cells: list[Cell] = [
        lambda width: [Span(clip_left(worker.name, width))],  # the slot, by which they differ, is at its end
        [Span(f"{look.glyphs.shapes[shape]} {shape}", TONES[shape])],
        number("-" if worker.pid is None else str(worker.pid)[:12]),
        number(since(worker.started_at, model.now)),
        plain(about, Tone.PLAIN if job is not None else Tone.DIM),
        number(since(None if job is None else job.started_at, model.now), Tone.BUSY),
        number(count(worker.jobs_done)),
        number(count(worker.jobs_failed)),
        number(memory(worker.rss)),
        number(percent(worker.cpu)),
        number(count(worker.starts)),
        plain(ended + when if ended else "", Tone.DIM),
    ]
    return row(placed, cells, is_selected=is_selected)
