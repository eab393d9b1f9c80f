"""What facts read like, for people: the one file with the sentences of the log and of `fleetd events`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fleetd.core.facts import Fact, Kind
from fleetd.core.signals import name_of

Fields = Mapping[str, Any]

WARNINGS = frozenset(
    {
        Kind.WORKER_START_FAILED,
        Kind.WORKER_BACKOFF,
        Kind.WORKER_CRASH_LOOP,
        Kind.WORKER_GIVEN_UP,
        Kind.WORKER_SPINNING,
        Kind.WORKER_KILLED,
        Kind.JOB_INTERRUPTED,
        Kind.WORKER_LEFTOVER,
        Kind.PROCESS_STRAYED,
        Kind.OUTPUT_DROPPED,
        Kind.TEMPLATE_THREADED,
        Kind.TEMPLATE_ENDED,
        Kind.TEMPLATE_LEAKED,
        Kind.ROLLOUT_HALTED,
        Kind.EPOCH_REFUSED,
        Kind.QUEUE_LONG_WAIT,
        Kind.BROKER_LOST,
        Kind.FLEET_LOST,
        Kind.FLEET_NAME_TAKEN,
        Kind.ALERT_OPENED,
        Kind.ALERT_FAILED,
    }
)
# What belongs to the day: each worker tells it again and again.  So do ends that were planned.
ROUTINE = frozenset(
    {
        Kind.WORKER_STARTED,
        Kind.WORKER_HEALTHY,
        Kind.WORKER_DRAINING,
        Kind.WORKER_RECYCLED,
        Kind.WORKER_ADOPTED,
        Kind.ROLLOUT_PROGRESS,
    }
)


def sentence(fact: Fact) -> str:
    """One line about a fact, beginning with the worker or pool that it is about."""
    subject = fact.worker or fact.pool
    text = _WORDING[fact.kind](fact.fields)
    return f"{subject}: {text}" if subject else text


def exit_text(code: int | None, signal: int | None) -> str:
    """How a process ended: `code 1`, `signal 9 (KILL)`."""
    if signal is not None:
        return f"signal {signal} ({name_of(signal)})"
    return "an unknown exit code" if code is None else f"code {code}"


def _started(fields: Fields) -> str:
    return f"started (pid {fields['pid']}) in {fields['directory']}"


def _exited(fields: Fields) -> str:
    how = exit_text(fields["code"], fields["signal"])
    job = f", with job {fields['job']} in hand" if fields["job"] else ""
    kind = "" if fields["planned"] else " unplanned"
    last = f"; last line: {fields['lines'][-1]}" if fields["lines"] else ""
    return f"ended{kind} with {how}, reason {fields['reason']}, after {fields['lived']:g} s{job}{last}"


def _interrupted(fields: Fields) -> str:
    job = " ".join(str(fields[key]) for key in ("name", "id") if fields[key]) or "a job"
    queue = f" of {fields['queue']}" if fields["queue"] else ""
    return f"job {job}{queue} was interrupted after {fields['ran']:g} s"


def _draining(fields: Fields) -> str:
    return f"draining (pid {fields['pid']}), reason {fields['reason']}{', busy' if fields['busy'] else ''}"


def _halted(fields: Fields) -> str:
    last = f"; last line: {fields['lines'][-1]}" if fields["lines"] else ""
    return f"rollout halted: {fields['reason']}; {fields['pending']} slot(s) keep the release they had{last}"


def _given_up(fields: Fields) -> str:
    return f"given up after {fields['failures']} failures; `fleetd start` tries again"


def _done(fields: Fields) -> str:
    slots, seconds, drain = fields["slots"], fields["duration"], fields["longest_drain"]
    return f"rollout done: {slots} slot(s) in {seconds:g} s, longest drain {drain:g} s"


def _strayed(fields: Fields) -> str:
    return f"some worker's processes have left it in every way, and nobody ends them: pids {', '.join(fields['pids'])}"


def _of_alert(fields: Fields) -> str:
    return f"{fields['on']} of {fields['subject']}" if fields["subject"] else fields["on"]


def _alert_opened(fields: Fields) -> str:
    error = f": {fields['error']}" if fields["error"] else ""
    hosts = f" on {', '.join(fields['hosts'])}" if fields["hosts"] else ""
    return f"alert: {_of_alert(fields)}{hosts}{error}"


def _alert_failed(fields: Fields) -> str:
    what = f"the {fields['via']} could not be told of {fields['on']} ({fields['told']}): {fields['error']}"
    return f"alert: {what}; {'it is tried again' if fields['again'] else 'it is not tried any more'}"


def _template_ready(fields: Fields) -> str:
    loaded = f"{fields['rss'] / 1e6:.0f} MB in {fields['seconds']:g} s"
    return f"preloaded in {fields['directory']} (template: pid {fields['pid']}, {loaded})"


def _template_threaded(fields: Fields) -> str:
    threads = fields["threads"]
    return f"preload started {threads - 1} thread(s), which workers do not have: start them in the worker instead"


def _template_leaked(fields: Fields) -> str:
    grown = f"from {fields['before'] / 1e6:.0f} to {fields['rss'] / 1e6:.0f} MB"
    return f"the template (pid {fields['pid']}) grew {grown} and is replaced"


def _key(text: str) -> str:
    return f" {text}" if text else ""


def _daemon_started(fields: Fields) -> str:
    replaced = f", in the place of {fields['replaced']}" if fields.get("replaced") else ""
    return f"fleetd {fields['version']} started: instance {fields['instance']}, pid {fields['pid']}{replaced}"


_WORDING: dict[Kind, Callable[[Fields], str]] = {
    Kind.DAEMON_STARTED: _daemon_started,
    Kind.DAEMON_STOPPING: lambda _: "stopping: every worker is drained",
    Kind.WORKER_STARTED: _started,
    Kind.WORKER_HEALTHY: lambda f: f"healthy (pid {f['pid']})",
    Kind.WORKER_DRAINING: _draining,
    Kind.WORKER_DRAIN_REPEATED: lambda f: f"told again to end (pid {f['pid']}), reason {f['reason']}: it had not heard",
    Kind.WORKER_KILLED: lambda f: f"killed (pid {f['pid']}) with all it had started, reason {f['reason']}",
    Kind.WORKER_EXITED: _exited,
    Kind.WORKER_START_FAILED: lambda f: f"could not be started: {f['error']}",
    Kind.WORKER_RECYCLED: lambda f: f"is replaced (pid {f['pid']}), reason {f['reason']}",
    Kind.WORKER_BACKOFF: lambda f: f"is tried again in {f['wait']:g} s ({f['failures']} failure(s) in a row)",
    Kind.WORKER_CRASH_LOOP: lambda f: f"crash loop: {f['failures']} failures in a row",
    Kind.WORKER_GIVEN_UP: _given_up,
    Kind.WORKER_SPINNING: lambda f: f"{f['exits']} planned exits in a row without a job: starts are paced",
    Kind.WORKER_ADOPTED: lambda f: f"taken over (pid {f['pid']}), {f['phase']}",
    Kind.JOB_INTERRUPTED: _interrupted,
    Kind.WORKER_LEFTOVER: lambda f: f"could not be ended entirely: pids {', '.join(f['pids'])} are left",
    Kind.PROCESS_STRAYED: _strayed,
    Kind.OUTPUT_DROPPED: lambda f: f"output is dropped: {f['error']} ({f['bytes']} bytes so far)",
    Kind.OUTPUT_KEPT: lambda f: f"output is written again ({f['bytes']} bytes were dropped)",
    Kind.TEMPLATE_READY: _template_ready,
    Kind.TEMPLATE_THREADED: _template_threaded,
    Kind.TEMPLATE_ENDED: lambda f: f"the template (pid {f['pid']}) ended by itself: {f['how']}",
    Kind.TEMPLATE_LEAKED: _template_leaked,
    Kind.POOL_ADDED: lambda f: f"added, {f['numprocs']} worker(s)",
    Kind.POOL_CHANGED: lambda f: f"{f['change']}: {', '.join(f['keys'])}",
    Kind.POOL_REMOVED: lambda _: "removed",
    Kind.POOL_STOPPED: lambda _: "stopped by an operator",
    Kind.POOL_STARTED: lambda _: "started by an operator",
    Kind.POOL_PAUSED: lambda _: "paused",
    Kind.POOL_RESUMED: lambda _: "resumed",
    Kind.POOL_SCALED: lambda f: f"scaled to {f['numprocs']}",
    Kind.ROLLOUT_STARTED: lambda f: (
        f"rollout started: {f['slots']} slot(s)" + (f", {f['label']}" if f["label"] else "")
    ),
    Kind.ROLLOUT_PROGRESS: lambda f: f"rolled ({f['done']} of {f['slots']})",
    Kind.ROLLOUT_DONE: _done,
    Kind.ROLLOUT_HALTED: _halted,
    Kind.ROLLOUT_SUPERSEDED: lambda _: "rollout superseded by a newer one",
    Kind.ROLLOUT_RESUMED: lambda f: f"rollout goes on: {f['pending']} slot(s)",
    Kind.TURN_TAKEN: lambda f: f"fleet: this host's turn in rollout {', '.join(f['epochs'])}",
    Kind.TURN_ENDED: lambda _: "fleet: this host's turn is over",
    Kind.EPOCH_RAISED: lambda f: f"restart epoch{_key(f['key'])} is now {f['epoch']}",
    Kind.EPOCH_REFUSED: lambda f: (
        f"restart epoch{_key(f['key'])} is {f['value']!r}, which cannot be: it is not followed"
    ),
    Kind.QUEUE_LONG_WAIT: lambda f: f"queue {f['queue']}: jobs wait for {f['wait']:g} s",
    Kind.QUEUE_WAIT_OVER: lambda f: f"queue {f['queue']}: jobs do not wait long any more (it took {f['lasted']:g} s)",
    Kind.BROKER_LOST: lambda f: f"broker {f['broker']}: cannot be read: {f['error']}; its queues are not known",
    Kind.BROKER_REACHED: lambda f: f"broker {f['broker']}: is read again",
    Kind.FLEET_JOINED: lambda f: f"fleet {f['fleet']}: joined as {f['member']}",
    Kind.FLEET_LOST: lambda f: f"fleet {f['fleet']}: out of reach, workers go on: {f['error']}",
    Kind.FLEET_NAME_TAKEN: lambda f: (
        f"fleet {f['fleet']}: another daemon is {f['member']}: this one stays out of it, its workers go on"
    ),
    Kind.ALERT_OPENED: _alert_opened,
    Kind.ALERT_RECOVERED: lambda f: f"alert: {_of_alert(f)} is over after {f['lasted']:g} s",
    Kind.ALERT_FAILED: _alert_failed,
}
