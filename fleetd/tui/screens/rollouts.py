"""The rollouts that are under way, below the head: of a fleet, or of a daemon that is asked alone."""

from __future__ import annotations

from collections.abc import Iterable

from fleetd.tui.documents import HostRollout, Rollout
from fleetd.tui.figures import since
from fleetd.tui.lines import Line, Span, Tone, clip, fitted, visible, width_of
from fleetd.tui.look import Look, bar
from fleetd.tui.model import Model
from fleetd.tui.rolling import Roll, rolls

_BAR = 10  # columns
_ROOMY = 80  # columns
_MOST = 4  # lines, and at most a fifth of the screen


def height(model: Model) -> int:
    """How many lines they take."""
    scene = model.scene
    assert scene is not None
    most = min(_MOST, model.rows // 5)
    under_way = [rollout for rollout in scene.rollouts if rollout.is_under_way]
    if under_way:
        return min(most, sum(2 if rollout.hosts else 1 for rollout in under_way))
    return min(most, 1 if scene.fleet is None and rolls(model) else 0)


def draw(model: Model, look: Look) -> list[Line]:
    """A line for each, and one for its hosts; one for all that a daemon rolls."""
    most, scene = height(model), model.scene
    assert scene is not None
    if not most:
        return []
    lines: list[Line] = []
    for rollout in scene.rollouts:
        if rollout.is_under_way:
            lines.append(_rollout(model, rollout, look))
            if rollout.hosts:
                lines.append(_hosts(model, rollout, look))
    return lines[:most] if lines else [_local(model, rolls(model), look)]


# -- of a fleet --------------------------------------------------------------------------------------------------------


def _rollout(model: Model, rollout: Rollout, look: Look) -> Line:
    """Its state, and why it is halted, before all that may be cut off or left out."""
    halted = rollout.state == "halted"
    done, total = (sum(getattr(host, which) for host in rollout.hosts) for which in ("done", "total"))
    spans = [
        Span(f" {look.glyphs.bad if halted else look.glyphs.chosen} "),
        Span(f"rollout {rollout.epoch} {visible(rollout.state)} ", Tone.BAD if halted else Tone.STRONG),
    ]
    if halted:
        spans.append(Span(f"{visible(_why(rollout)[: 4 * model.columns])}  ", Tone.BAD))
    pieces = [
        [
            *bar(done, total, look, _BAR if model.columns < _ROOMY else 2 * _BAR, Tone.BAD if halted else Tone.GOOD),
            Span(f" {done} of {total} workers"),
        ]
    ]
    if rollout.label:
        pieces.append([Span(f"  {clip(rollout.label, min(30, len(rollout.label)))}", Tone.STRONG)])
    if rollout.who:
        pieces.append([Span(f"  by {visible(rollout.who[:60])}", Tone.DIM)])
    pieces.append([Span(f"  since {since(rollout.at, model.now)}", Tone.DIM)])
    return Line(fitted([*spans, *_fitting(pieces, model.columns - width_of(spans))], model.columns))


def _fitting(pieces: Iterable[list[Span]], room: int) -> Iterable[Span]:
    """Those that fit, in their order."""
    for piece in pieces:
        room -= width_of(piece)
        if room < 0:
            return
        yield from piece


def _why(rollout: Rollout) -> str:
    """By whom it was halted, a person or a worker that failed, with its last line."""
    failed = [host for host in rollout.hosts if host.error is not None]
    if rollout.halted_by and rollout.halted_by not in {host.name for host in rollout.hosts}:
        return f"by {rollout.halted_by}"
    host = next((host for host in failed if host.name == rollout.halted_by), failed[0] if failed else None)
    if host is None or host.error is None:
        return f"by {rollout.halted_by}" if rollout.halted_by else ""
    error = host.error
    told = f"{host.name}: {error.worker}: {error.reason}"
    return f"{told}: {error.lines[-1]}" if error.lines else told


def _hosts(model: Model, rollout: Rollout, look: Look) -> Line:
    """A bar for each host, as many as fit: those that roll and those that failed first."""
    first = {"failed": 0, "halted": 0, "rolling": 1}
    hosts = sorted(rollout.hosts, key=lambda host: (0 if host.error else first.get(host.state, 2), host.name))
    spans = [Span("   ")]
    left = model.columns - 3
    for index, host in enumerate(hosts):
        told = _host(host, look)
        more = f"and {len(hosts) - index} more"
        if width_of(told) + (len(more) if index < len(hosts) - 1 else 0) > left:
            spans.append(Span(more, Tone.DIM))
            break
        spans += told
        left -= width_of(told)
    return Line(fitted(spans, model.columns))


def _host(host: HostRollout, look: Look) -> list[Span]:
    return [
        Span(f"{visible(host.name[:40])} "),
        *bar(host.done, host.total, look, _BAR, Tone.BAD if host.error else Tone.GOOD),
        Span(f" {host.done}/{host.total} {visible(host.state[:12])}   ", Tone.BAD if host.error else Tone.DIM),
    ]


# -- of a daemon -------------------------------------------------------------------------------------------------------


def _local(model: Model, under_way: list[Roll], look: Look) -> Line:
    """Each pool that it rolls; why one is halted stands before its bar."""
    spans = [Span(f" {look.glyphs.chosen} "), Span("rolling  ", Tone.STRONG)]
    for roll in under_way:
        tone = Tone.BAD if roll.is_halted else Tone.GOOD
        spans.append(Span(f"{visible(roll.pool[:40])} "))
        if roll.is_halted:
            spans.append(Span(f"HALTED{': ' if roll.why else ''}{visible(roll.why[:200])} ", Tone.BAD))
        spans += [*bar(roll.done, roll.total, look, _BAR, tone), Span(f" {roll.done}/{roll.total}   ", tone)]
    return Line(fitted(spans, model.columns))
