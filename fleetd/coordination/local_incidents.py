"""The incidents of a fleet in memory: who has each, what was told, and who is to tell what is next."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from fleetd.coordination.port import CLOSED, GATHER, HOLD, LEASE, Beat, Held, Shared, Told

DAY = 86_400.0


class Entry(Struct):
    """One incident; instants on the coordinator's clock, 0 for never."""

    at: float
    told: Told = Told.NOTHING
    hosts: dict[str, float] = field(default_factory=dict)  # members that have or had it: until when they are believed
    teller: str = ""
    teller_until: float = 0.0
    quiet_at: float = 0.0  # when nobody has told of it for a while
    closed_until: float = 0.0

    def holders(self, now: float) -> list[str]:
        """Those that have it."""
        return sorted(member for member, until in self.hosts.items() if until > now)

    def shared(self, key: str, now: float, *, is_teller: bool = False) -> Shared:
        """As a member is told of it."""
        return Shared(key, self.told, is_teller, hosts=tuple(self.holders(now) or sorted(self.hosts)))


def meet(entries: dict[str, Entry], beat: Beat, now: float, live: int) -> Mapping[str, Shared]:
    """Take what a beat tells of incidents, and answer; `live` is the number of members."""
    found = {held.key: _take(entries, beat.member, held, now, live) for held in beat.incidents}
    return found | (_left_behind(entries, found, now) if beat.has_alerts else {})


def _take(entries: dict[str, Entry], member: str, held: Held, now: float, live: int) -> Shared:
    closed = Shared(held.key, Told.RECOVERED, is_closed=True)
    entry = entries.get(held.key)
    if entry is not None and entry.closed_until and (held.is_held or entry.closed_until <= now):
        entry = None
    if entry is None:
        if held.told is Told.RECOVERED:
            return closed
        entry = entries[held.key] = Entry(now)
    if entry.closed_until:
        return closed
    entry.quiet_at = now + LEASE
    if held.told is not Told.NOTHING:
        entry.told = Told.OPENED
    if held.is_held:
        entry.hosts[member] = now + HOLD
    elif member in entry.hosts:
        entry.hosts[member] = 0.0
    if held.told is Told.RECOVERED:
        if not entry.holders(now):
            entry.closed_until = now + CLOSED
        return closed
    return entry.shared(held.key, now, is_teller=_claim(entry, member, now, live))


def _claim(entry: Entry, member: str, now: float, live: int) -> bool:
    """Whether it is for the member to tell what is next."""
    is_due = entry.told is Told.NOTHING or not entry.holders(now)
    is_ripe = entry.told is not Told.NOTHING or live <= 1 or now >= entry.at + GATHER
    if not is_due:
        entry.teller = ""
    elif is_ripe and (entry.teller in {"", member} or entry.teller_until <= now):
        entry.teller, entry.teller_until = member, now + LEASE
    return is_due and entry.teller == member


def _left_behind(entries: dict[str, Entry], found: Mapping[str, Shared], now: float) -> dict[str, Shared]:
    """Those that nobody has any more, and nobody tells of; what is over for long is dropped."""
    left = {}
    for key, entry in list(entries.items()):
        if entry.closed_until:
            if entry.closed_until <= now:
                del entries[key]
        elif entry.quiet_at + DAY <= now:
            del entries[key]
        elif key not in found and entry.quiet_at <= now and not entry.holders(now):
            left[key] = entry.shared(key, now)
    return left
