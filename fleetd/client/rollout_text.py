"""What a person is told of a rollout; texts are not yet safe for a terminal, since they come from other hosts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from fleetd.client.following import Outcome
from fleetd.client.verdict import End, View
from fleetd.config.durations import format_duration
from fleetd.coordination.port import HostProgress, HostState, Rollout, RolloutState
from fleetd.views.counted import counted
from fleetd.views.status_table import Row, Tone
from fleetd.views.stragglers import Straggler

HEADER = ("EPOCH", "STATE", "WHEN", "HOSTS", "WHO", "LABEL", "SCOPE")
HOST_HEADER = ("HOST", "STATE", "WORKERS", "LONGEST DRAIN", "WHAT")
_TONES: Mapping[str, Tone] = {
    RolloutState.RUNNING: Tone.BUSY,
    RolloutState.DONE: Tone.GOOD,
    RolloutState.HALTED: Tone.BAD,
    HostState.ROLLING: Tone.BUSY,
}


def begun(rollout: Rollout) -> str:
    """What was asked for, once it was."""
    hosts = len(rollout.hosts)
    limit = f", at most {rollout.max_parallel_hosts} at a time" if rollout.max_parallel_hosts < hosts else ""
    return f"restart {rollout.epoch} of {rollout.intent.scope}: {counted(hosts, 'host')}{limit}"


def going_on(rollout: Rollout) -> str:
    """What goes on, once it does."""
    return f"restart {rollout.epoch} of {rollout.intent.scope} goes on: {counted(len(rollout.hosts), 'host')}"


def changes(before: Mapping[str, HostProgress], after: Mapping[str, HostProgress]) -> Iterator[str]:
    """A line for each host that stands elsewhere than before."""
    for name, progress in sorted(after.items()):
        known = before.get(name)
        if known is None or standing(known) != standing(progress):
            yield f"{name}: {standing(progress)}"


def standing(progress: HostProgress) -> str:
    """Where a host stands: "rolling 2/8"."""
    return f"{progress.state} {progress.done}/{progress.total}" if progress.total else str(progress.state)


def summary(outcome: Outcome) -> str:
    """How it went, when it went well."""
    hosts = [progress for name, progress in outcome.view.newest.hosts.items() if name in outcome.view.waited_for]
    drain = max((progress.longest_drain for progress in hosts), default=0.0)
    return (
        f"{counted(len(outcome.view.waited_for), 'host')}, "
        f"{counted(sum(progress.done for progress in hosts), 'worker')} restarted in "
        f"{format_duration(round(outcome.duration))}, longest drain {format_duration(round(drain))}"
    )


def trouble(outcome: Outcome, left: Sequence[Straggler], now: float) -> Iterator[str]:
    """Why it did not end well, as of `now` (Unix seconds); indented lines belong to the one before."""
    view, epoch = outcome.view, outcome.view.newest.epoch
    waited = f"{round(outcome.duration, 1):g} s"
    follow = f"follow it with `fleetd rollouts {epoch}`"
    match outcome.end:
        case End.HALTED:
            yield from _halted(view)
        case End.MISSING:
            seen = {member.name: member.last_seen for member in outcome.members}
            for name in sorted(view.pending):
                last = f", last seen {format_duration(round(max(0.0, now - seen[name])))} ago" if name in seen else ""
                yield f"{name} went missing and did not come back{last}; {_rest(view)}"
        case End.TIMED_OUT:
            yield f"not finished after {waited}, {_so_far(view)}; the work itself goes on: {follow}"
            yield from _pending(view, left)
        case End.UNSEEN:
            yield f"no live member confirmed within {waited} that it saw the request; it stands: {follow}"
        case End.UNREACHABLE:
            yield f"Redis is out of reach, gave up waiting, {_so_far(view)}; the hosts go on: {follow}"
        case End.DONE | End.SEEN:
            pass


def halted(rollouts: Sequence[Rollout]) -> Iterator[str]:
    """A line for each that someone has to have go on, or restart again."""
    for rollout in rollouts:
        if rollout.state is RolloutState.HALTED:
            by = rollout.halted_by or "someone"
            yield f"rollout {rollout.epoch} is halted by {by}: `fleetd rollouts {rollout.epoch}`"


def _halted(view: View) -> Iterator[str]:
    failed = [(name, host.error) for name, host in sorted(view.newest.hosts.items()) if host.error is not None]
    for name, error in failed:
        yield f"halted: {name}: {error.worker}: {error.reason}; {_rest(view)}"
        yield from (f"  {line}" for line in error.lines)
    if not failed:
        yield f"halted by {view.newest.halted_by or 'someone'}; {_rest(view)}"
    yield f"go on with `fleetd rollouts {view.newest.epoch} --resume`, or restart again once it is mended"


def _pending(view: View, left: Sequence[Straggler]) -> Iterator[str]:
    """The workers that are not replaced, and the hosts that tell of none."""
    telling = {each.member for each in left}
    for name in sorted(view.pending):
        yield from (f"  {each}" for each in left if each.member == name)
        if name not in telling:
            progress = view.newest.hosts.get(name)
            yield f"  {name}: {'unknown' if progress is None else standing(progress)}"


def _so_far(view: View) -> str:
    return f"{len(view.done)} of {counted(len(view.waited_for), 'host')} done"


def _rest(view: View) -> str:
    done = sum(progress.done for progress in view.newest.hosts.values())
    total = sum(progress.total for progress in view.newest.hosts.values())
    others = "" if view.newest.intent.mode == "now" else ", the others go on as they were"
    return f"{done} of {counted(total, 'worker')} restarted{others}"


# -- tables ------------------------------------------------------------------------------------------------------------


def rows(rollouts: Sequence[Rollout]) -> list[Row]:
    """A row for each rollout."""
    return [_row(rollout) for rollout in rollouts]


def _row(rollout: Rollout) -> Row:
    intent = rollout.intent
    done = sum(progress.state is HostState.DONE for progress in rollout.hosts.values())
    cells = (
        *(str(rollout.epoch), str(rollout.state), when(rollout.at), f"{done}/{len(rollout.hosts)}"),
        *(intent.who or "-", intent.label or "-", str(intent.scope)),
    )
    return Row(cells, _TONES.get(rollout.state, Tone.PLAIN))


def detail(rollout: Rollout) -> Iterator[str]:
    """What is to be said of one rollout beside its hosts."""
    intent = rollout.intent
    label = f", {intent.label}" if intent.label else ""
    yield f"{rollout.epoch}: {rollout.state}, {intent.mode} restart of {intent.scope}{label}"
    yield f"asked for {when(rollout.at)} by {intent.who or 'nobody known'}, at most {_parallel(rollout)} at a time"
    if rollout.superseded_by is not None:
        yield f"superseded by {rollout.superseded_by}"
    if rollout.state is RolloutState.HALTED:
        yield f"halted by {rollout.halted_by or 'someone'}"
    elif rollout.ended is not None:
        yield f"ended {when(rollout.ended)}, after {format_duration(round(max(0.0, rollout.ended - rollout.at)))}"


def host_rows(rollout: Rollout) -> list[Row]:
    """A row for each host of a rollout."""
    return [_host_row(name, progress) for name, progress in sorted(rollout.hosts.items())]


def errors(rollout: Rollout) -> Iterator[str]:
    """The last lines of the workers that failed."""
    for name, progress in sorted(rollout.hosts.items()):
        if progress.error is not None and progress.error.lines:
            yield f"{name}: {progress.error.worker}: {progress.error.reason}"
            yield from (f"  {line}" for line in progress.error.lines)


def _host_row(name: str, progress: HostProgress) -> Row:
    error = progress.error
    what = "" if error is None else f"{error.worker}: {error.reason}"
    drain = format_duration(round(progress.longest_drain))
    tone = Tone.BAD if error is not None else _TONES.get(progress.state, Tone.PLAIN)
    return Row((name, str(progress.state), f"{progress.done}/{progress.total}", drain, what), tone)


def _parallel(rollout: Rollout) -> str:
    return counted(rollout.max_parallel_hosts, "host")


def when(at: float) -> str:
    """A time of day for people, in the caller's zone."""
    try:
        return datetime.fromtimestamp(at, UTC).astimezone().isoformat(sep=" ", timespec="seconds")
    except (OverflowError, OSError, ValueError):  # what somebody wrote to Redis
        return "-"
