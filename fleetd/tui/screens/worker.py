"""A worker: what it is at, what became of its runs, and its output as it comes."""

from __future__ import annotations

from collections.abc import Iterator

from fleetd.tui.acting import chosen
from fleetd.tui.documents import Worker
from fleetd.tui.figures import clock, count, memory, percent, since
from fleetd.tui.kept import shown_lines
from fleetd.tui.lines import Line, Span, Tone, clip, fitted
from fleetd.tui.look import TONES, Look
from fleetd.tui.model import Model
from fleetd.tui.screens.pieces import exit_of, facts, job_of

_MOST_FACTS = 5  # lines
_MOST_RUNS = 6  # lines
_RUNS = frozenset(
    {
        *("worker.started", "worker.exited", "worker.recycled", "worker.killed", "worker.backoff", "worker.adopted"),
        *("worker.crash-loop", "worker.given-up", "worker.start-failed", "job.interrupted"),
        *("worker.draining", "worker.drain-repeated"),
    }
)


def heights(model: Model, room: int) -> tuple[int, int]:
    """Lines of output."""
    return max(1, room - len(_facts(model, room)) - len(_runs(model, room)) - 1), 0


def length(model: Model) -> int:
    """Lines of output there are, of those that the filter leaves."""
    return len(_lines(model))


def draw(model: Model, look: Look, room: int, top: int) -> list[Line]:
    """Facts, runs, output."""
    told = [*_facts(model, room), *_runs(model, room)]
    height, lines = heights(model, room)[0], _lines(model)
    shown = lines[top : top + height]
    width, shift = model.columns, model.place.shift
    texts = [Line([Span(clip(_shifted(text, shift, width), width).rstrip())]) for text in shown]
    return [*told, _title(model, look, len(lines), top + len(shown)), *(texts or [_none(model)])]


def _shifted(text: str, shift: int, width: int) -> str:
    return text[: shift + 4 * width][shift:] if shift else text


def _lines(model: Model) -> tuple[str, ...]:
    return () if model.output is None else shown_lines(model.output.lines, model.place)


def _title(model: Model, look: Look, total: int, last: int) -> Line:
    following = "follows" if model.place.at_end else "End or f follows"
    error = None if model.output is None else model.output.error
    told = f" OUTPUT  line {last} of {total}, {following}" if total else " OUTPUT"
    if error is not None:
        told += f"  {look.glyphs.bad} {error}"
    return Line([Span(clip(told, model.columns), Tone.HEAD)], ground=Tone.HEAD)


def _none(model: Model) -> Line:
    told = "nothing yet" if model.output is None or model.output.error is None else "none to be had"
    return Line([Span(f"  {told}", Tone.DIM)])


def _facts(model: Model, room: int) -> list[Line]:
    row = chosen(model)
    if row is None or row.worker is None:
        return [Line([Span("  this worker is gone; Esc goes back", Tone.WORRYING)])]
    host = row.host.name if row.host is not None else ""
    return facts(_of(model, row.worker, host), model.columns, min(_MOST_FACTS, max(1, room // 4)))


def _of(model: Model, worker: Worker, host: str) -> Iterator[tuple[str, str, Tone]]:
    yield "worker", worker.name, Tone.STRONG
    yield "on", host, Tone.PLAIN
    yield "", worker.shape, TONES[worker.shape]
    yield "pid", "" if worker.pid is None else str(worker.pid), Tone.PLAIN
    yield "up", since(worker.started_at, model.now), Tone.PLAIN
    if worker.job is not None:
        yield "job", f"{job_of(worker)} for {since(worker.job.started_at, model.now)}", Tone.BUSY
    yield "says", worker.status or "", Tone.PLAIN
    yield "done", count(worker.jobs_done), Tone.PLAIN
    yield "failed", count(worker.jobs_failed), Tone.PLAIN
    yield "memory", memory(worker.rss), Tone.PLAIN
    yield "CPU", percent(worker.cpu), Tone.PLAIN
    yield "starts", count(worker.starts), Tone.PLAIN
    if worker.last_exit is not None:
        yield "last exit", f"{exit_of(worker)}, {since(worker.last_exit.at, model.now)} ago", Tone.PLAIN
    yield "epoch", "" if worker.epoch is None else str(worker.epoch), Tone.PLAIN
    yield "in", worker.directory or "", Tone.DIM
    yield "run", worker.run or "", Tone.DIM
    if worker.output_dropped:
        yield "output dropped", memory(worker.output_dropped), Tone.BAD


def _runs(model: Model, room: int) -> list[Line]:
    """What the events tell of its runs, the newest last."""
    place = model.place
    name = place.worker[1] if place.worker is not None else ""
    host = None if model.scene is None or model.scene.fleet is None else (place.host or "").partition("/")[0]
    most = min(_MOST_RUNS, room // 5)
    found: list[Line] = []
    for event in reversed(model.events):
        if len(found) >= most:
            break
        if event.get("worker") != name or event.get("kind") not in _RUNS or host not in {None, event.get("host")}:
            continue
        at = event.get("at")
        when = clock(at if isinstance(at, (int, float)) else None)
        text = clip(str(event.get("text", "")), max(0, model.columns - 10)).rstrip()
        found.append(Line(fitted([Span(f" {when} ", Tone.DIM), Span(text)], model.columns)))
    return found[::-1]
