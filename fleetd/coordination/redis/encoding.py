"""What is written to Redis and read from it: strict in the one, tolerant in the other.

Members of other versions, and anyone with a client, write to the same keys: unknown fields are ignored, missing ones
have their defaults, and what makes no sense is left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from fleetd.coordination.names import is_host, is_member, is_name
from fleetd.coordination.port import (
    LEASE,
    PROTOCOL,
    Beat,
    FleetEvent,
    HostProgress,
    Intent,
    Member,
    Report,
    Request,
    Rollout,
    RolloutState,
    Row,
    Shared,
    Told,
)
from fleetd.coordination.redis.keys import Keys
from fleetd.core.scope import Scope
from fleetd.core.spec import Amount

ROWS_A_PART = 500

T = TypeVar("T")
_encode = msgspec.json.encode
_is_number = re.compile(r"[0-9]{1,16}(\.[0-9]{1,9})?", re.ASCII).fullmatch


class _RosterEntry(Struct):
    """What the roster has of a member; scripts read it, too."""

    id: str
    protocol: int = PROTOCOL
    version: str = ""
    pools: tuple[str, ...] = ()
    max_parallel_hosts: Amount = Amount(share=1.0)
    epoch: str = "0"  # the greatest that it believes; a text, since scripts round numbers


class _Published(Struct):
    """The part of a published text that others look at."""

    status: dict[str, Any] | None = None


def text(value: object) -> str:
    """A value as JSON."""
    return _encode(value).decode()


def roster_entry(beat: Beat) -> str:
    """A member's entry in the roster."""
    epoch = str(max(beat.epochs.values(), default=0))
    return text(_RosterEntry(beat.id, PROTOCOL, beat.version, beat.pools, beat.max_parallel_hosts, epoch))


def published(beat: Beat) -> bytes:
    """What stands under the member's own key; empty: as before."""
    if beat.status is None:
        return b""
    head = _encode({"id": beat.id, "protocol": PROTOCOL, "version": beat.version, "pools": beat.pools})
    return head[:-1] + b',"status":' + beat.status + b"}"


def spoken(beat: Beat, keys: Keys) -> str:
    """A beat for its script; epochs are texts, since JSON numbers are rounded there."""
    return text(
        {
            "member": beat.member,
            "id": beat.id,
            "roster": roster_entry(beat),
            "epochs": [str(value) for value in beat.epochs.values()],
            "reports": [_report(epoch, beat.reports[epoch]) for epoch in sorted(beat.reports)],
            "wants": [str(epoch) for epoch in beat.wants_turn],
            "paused": beat.paused,
            "incarnation": beat.incarnation,
            "minutes": list(_minutes(beat, keys)),
        }
        | (
            {"alerts": keys.alerts, "incidents": beat.incidents, "has_alerts": beat.has_alerts}
            if beat.has_alerts or beat.incidents
            else {}
        )
    )


def _minutes(beat: Beat, keys: Keys) -> Iterable[list[str]]:
    """For each minute its key, the fields and values; in parts that a script can take."""
    for minute, rows in beat.minutes.items():
        for at in range(0, len(rows), ROWS_A_PART):
            part = rows[at : at + ROWS_A_PART]
            fields = ((f"{beat.member} {beat.life} {row.pool} {row.queue or ''}", text(_figures(row))) for row in part)
            yield [keys.minute(minute), *(word for field in fields for word in field)]


def _figures(row: Row) -> tuple[float, ...]:
    """The numbers of a row, in their order."""
    return (row.done, row.failed, round(row.runtime, 3), row.timed, round(row.wait, 3), row.waited)


def rows_of(flat: Sequence[bytes]) -> list[Row]:
    """The rows of a minute's hash, of all members; what makes no sense is left out."""
    found = (_row_of(*pair) for pair in zip(flat[::2], flat[1::2], strict=True))
    return [row for row in found if row is not None]


def _row_of(field: bytes, value: bytes) -> Row | None:
    member, _, rest = field.decode(errors="replace").partition(" ")
    _, _, subject = rest.partition(" ")
    pool, _, queue = subject.partition(" ")
    figures = _decoded(value, tuple[int, int, float, int, float, int])
    if figures is None or not (is_member(member) and is_name(pool)):
        return None
    return Row(pool, queue or None, *figures)


def _report(epoch: int, report: Report) -> dict[str, Any]:
    progress = report.progress
    return {
        "epoch": str(epoch),
        "state": progress.state,
        "resumes": progress.resumes,
        "progress": text(_without_lease(progress)),
        **_intent(report.intent),
    }


def _without_lease(progress: HostProgress) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(progress)
    del fields["lease_until"]
    return fields


def _intent(intent: Intent) -> dict[str, Any]:
    most = intent.max_parallel_hosts
    return {
        "who": intent.who,
        "label": intent.label,
        "scope": text(intent.scope),
        "mode": intent.mode,
        "asked_max_parallel_hosts": None if most is None else str(most),
        "request": intent.request or None,
    }


def asked(request: Request) -> str:
    """A request for its script."""
    return text(_intent(request.as_reported()))


def remembered(rollout: Rollout, *, has_hosts: bool = True) -> str:
    """A rollout for the script that sets it again where it was lost, or without hosts for the one that only looks."""
    hosts = rollout.hosts.items() if has_hosts else None
    fields = {
        "state": rollout.state,
        "when": f"{rollout.at:.6f}",
        **_intent(rollout.intent),
        "max_parallel_hosts": str(rollout.max_parallel_hosts),
        "resumes": str(rollout.resumes),
        "superseded_by": None if rollout.superseded_by is None else str(rollout.superseded_by),
        "halted_by": rollout.halted_by,
        "ended": None if rollout.ended is None else f"{rollout.ended:.6f}",
    }
    return text(
        {
            "fields": [part for item in fields.items() if item[1] is not None for part in item],
            "asked_max_parallel_hosts": fields["asked_max_parallel_hosts"],
            "max_parallel_hosts": rollout.max_parallel_hosts,
            "hosts": None if hosts is None else [part for name, host in hosts for part in (name, text(host))],
        }
    )


def rollout_of(epoch: bytes, flat: list[bytes]) -> Rollout | None:
    """A rollout from the fields of its hash; None when it makes no sense."""
    fields = {
        name.decode(errors="replace"): value.decode(errors="replace")
        for name, value in zip(flat[::2], flat[1::2], strict=True)
    }
    try:
        return _rollout(int(epoch), fields) if epoch.isdigit() else None
    except ValueError:  # msgspec.ValidationError is one, too
        return None


def _rollout(epoch: int, fields: Mapping[str, str]) -> Rollout:
    intent = Intent(
        who=fields.get("who", ""),
        label=fields.get("label"),
        scope=_scope(fields.get("scope", "{}")),
        mode=fields.get("mode", "graceful"),
        max_parallel_hosts=int(_number(fields, "asked_max_parallel_hosts") or 0) or None,
        request=fields.get("request", ""),
    )
    return Rollout(
        epoch=epoch,
        state=RolloutState(fields.get("state", "")),
        intent=intent,
        at=_number(fields, "when") or 0.0,
        max_parallel_hosts=max(1, int(_number(fields, "max_parallel_hosts") or 1)),
        resumes=int(_number(fields, "resumes") or 0),
        superseded_by=int(_number(fields, "superseded_by") or 0) or None,
        halted_by=fields.get("halted_by"),
        ended=_number(fields, "ended"),
        hosts=dict(_hosts(fields)),
    )


def _number(fields: Mapping[str, str], name: str) -> float | None:
    """A number, exact below 2**53; None where there is none.  Raises ValueError for anything else."""
    raw = fields.get(name)
    if raw is None:
        return None
    if not _is_number(raw):
        raise ValueError(f"no number: {name}")
    return float(raw)


def _scope(raw: str) -> Scope:
    scope = msgspec.json.decode(raw, type=Scope)
    if not all(map(is_host, scope.hosts or ())) or not all(map(is_name, scope.pools or ())):
        raise ValueError("a scope with names that are none")
    return scope


def _hosts(fields: Mapping[str, str]) -> Iterable[tuple[str, HostProgress]]:
    for name in sorted(fields):
        member = name.removeprefix("host:")
        progress = _decoded(fields[name], HostProgress) if member != name and is_member(member) else None
        if progress is not None:
            yield member, progress


def member_of(
    clock: float, name: bytes, lease_end: bytes, roster: bytes | None, document: bytes | None
) -> Member | None:
    """A member from its entries; None when they make no sense."""
    shown = name.decode(errors="replace")
    entry = None if roster is None else _decoded(roster, _RosterEntry)
    until = float(lease_end)
    if entry is None or not is_member(shown) or not math.isfinite(until):
        return None
    what = None if document is None else _decoded(document, _Published)
    return Member(
        name=shown,
        last_seen=until - LEASE,
        is_live=until > clock,
        pools=tuple(pool for pool in entry.pools if is_name(pool)),
        version=entry.version,
        protocol=entry.protocol,
        status=what.status if what is not None and until > clock else None,
    )


def shared_of(key: bytes, told: bytes, is_teller: bytes, is_closed: bytes, hosts: Sequence[bytes]) -> Shared | None:
    """An incident as the script answers it; None when it makes no sense."""
    names = tuple(sorted(filter(is_member, (host.decode(errors="replace") for host in hosts))))
    try:
        return Shared(key.decode(), Told(told.decode()), bool(is_teller), bool(is_closed), names)
    except ValueError:
        return None


def event_of(position: bytes, flat: Sequence[bytes]) -> FleetEvent | None:
    """An event from its entry in the stream; None when it makes no sense."""
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    document = _decoded(fields.get(b"e", b""), dict[str, Any])
    return None if document is None else FleetEvent(position.decode(), document)


def _decoded(raw: str | bytes, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (ValueError, RecursionError):
        return None
