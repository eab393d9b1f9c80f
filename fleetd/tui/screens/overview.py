"""Hosts x pools with their workers, and the queues."""

from __future__ import annotations

from collections.abc import Sequence

from fleetd.core.alerts import LONG_WAIT
from fleetd.tui.figures import age, count, rate, runtime, since
from fleetd.tui.lines import Cell, Line, Span, Tone, fitted, visible
from fleetd.tui.look import Look, sparkline
from fleetd.tui.model import Model
from fleetd.tui.rows import POOLS, QUEUES, Row, rows
from fleetd.tui.scene import Host
from fleetd.tui.screens import events
from fleetd.tui.screens.pieces import MARGIN, POOL_COLUMNS, Listing, bad_if, crew_row, listed, number, plain, state_tone
from fleetd.tui.table import Column, Placed, row

_QUEUE_COLUMNS = (
    Column("QUEUE", 12, 40, 0),
    Column("POOL", 7, 24, 6),
    Column("READY", 6, 8, 1, right=True),
    Column("DELAYED", 7, 7, 4, right=True),
    Column("RESERVED", 8, 8, 5, right=True),
    Column("OLDEST", 7, 8, 2, right=True),
    Column("WAIT", 8, 9, 3, right=True),
    Column("JOBS/MIN", 8, 8, 8, right=True),
    Column("LAST HOUR", 9, 60, 7, right=True),
    Column("MEAN", 7, 7, 11, right=True),
    Column("P95", 7, 7, 10, right=True),
    Column("FAILED/H", 9, 9, 9, right=True),
    Column("DONE", 7, 8, 12, right=True),
    Column("FAILED", 6, 7, 13, right=True),
)


def heights(model: Model, room: int) -> tuple[int, int]:
    """Rows of the pools and of the queues: each gets half, and what the other one does not need."""
    if model.scene is None or not model.scene.flows:
        return max(0, min(room - 1, len(rows(model, 0)))), 0
    pools, queues = max(1, len(rows(model, 0))), max(1, len(rows(model, 1)))
    left = max(0, room - 2)
    if pools + queues <= left:
        return pools, queues
    half = left // 2
    if queues <= half:
        return left - queues, queues
    return (pools, left - pools) if pools <= left - half else (left - half, half)


def draw(model: Model, look: Look, room: int, _top: int) -> list[Line]:
    """Two lists, one above the other."""
    if model.scene is None:
        return []
    place, (above, below) = model.place, heights(model, room)
    found = rows(model, 0)
    cursor = place.cursors[0]

    def of_pools(at: Row, placed: Sequence[Placed], is_selected: bool) -> Line:  # noqa: FBT001 - as `listed` calls it
        if at.crew is None:
            assert at.host is not None
            return _host(model, look, at.host, is_selected=is_selected)
        is_tree = cursor.sort == 0
        host = "" if is_tree else at.crew.host.name
        return crew_row(look, at, placed, is_selected=is_selected, indent="  " if is_tree else "", host=host)

    listing = Listing(POOL_COLUMNS, found, POOLS, cursor, of_pools, place.pane == 0)
    lines = listed(model, look, listing, above)
    if not found:
        lines.append(Line([Span("  " + _nothing(model), Tone.DIM)]))
    if model.scene.flows:
        lines = lines[: above + 1] + _queues(model, look, below)
    return lines + events.newest(model, room - len(lines))


def _nothing(model: Model) -> str:
    if model.place.filter:
        return "nothing is called so; Esc shows all again"
    return "no host is a member now" if model.scene is not None and model.scene.fleet is not None else "no pools"


def _queues(model: Model, look: Look, height: int) -> list[Line]:
    def of_queues(at: Row, placed: Sequence[Placed], is_selected: bool) -> Line:  # noqa: FBT001 - as `listed` calls it
        return _queue(look, at, placed, is_selected=is_selected)

    place = model.place
    listing = Listing(_QUEUE_COLUMNS, rows(model, 1), QUEUES, place.cursors[1], of_queues, place.pane == 1)
    return listed(model, look, listing, height)


def _host(model: Model, look: Look, host: Host, *, is_selected: bool) -> Line:
    document = host.document
    spans = [Span(visible(host.name[:80]), Tone.STRONG if host.live else Tone.BAD), Span("  ")]
    if not host.live:
        spans.append(Span(f"{look.glyphs.bad} gone, last seen {since(host.last_seen, model.now)} ago", Tone.BAD))
    elif document is None:
        told = "has published nothing that can be read; is its fleetd of another version?"
        spans.append(Span(f"{look.glyphs.bad} {told}", Tone.BAD))
    else:
        state = visible(document.state[:20])
        spans += [Span(state, state_tone(state)), Span(f"  up {since(document.started_at, model.now)}", Tone.DIM)]
        if host.last_seen is not None:
            spans.append(Span(f"  seen {since(host.last_seen, model.now)} ago", Tone.DIM))
            spans.append(Span(f"  fleetd {visible(document.version[:20])}", Tone.DIM))
        if document.fleet is not None and not document.fleet.connected:
            spans.append(Span(f"  {look.glyphs.bad} Redis out of reach", Tone.BAD))
    return Line(fitted(spans, model.columns - MARGIN), is_selected=is_selected)


def _queue(look: Look, at: Row, placed: Sequence[Placed], *, is_selected: bool) -> Line:
    flow = at.flow
    assert flow is not None
    queue, jobs = flow.queue, flow.queue.jobs
    about = "" if queue.wait_source in {None, "measured"} else "~"
    wait = age(queue.wait)
    ready = number("?" if flow.error else count(queue.ready), Tone.BAD if flow.error else Tone.STRONG)
    cells: list[Cell] = [
        plain(queue.name),
        plain(flow.pool, Tone.DIM),
        ready,
        number(count(queue.delayed)),
        number(count(queue.reserved)),
        number(age(queue.oldest_age), Tone.WORRYING if _is_long(queue.oldest_age) else Tone.PLAIN),
        number(wait if wait == "-" else about + wait, Tone.WORRYING if _is_long(queue.wait) else Tone.FIGURE),
        number(rate(jobs.per_minute), Tone.FIGURE),
        lambda width: sparkline(jobs.by_minute, look, width),
        number(runtime(jobs.runtime_avg)),
        number(runtime(jobs.runtime_p95)),
        number(count(jobs.failed_lately), bad_if(jobs.failed_lately)),
        number(count(jobs.done)),
        number(count(jobs.failed)),
    ]
    return row(placed, cells, is_selected=is_selected)


def _is_long(seconds: float | None) -> bool:
    """As a long wait is told of."""
    return seconds is not None and seconds > LONG_WAIT
