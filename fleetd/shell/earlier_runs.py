"""What an earlier daemon left: by its journal, by what the keeper was given with a run, by what a worker was told."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from fleetd.core.adopt import UNDATED
from fleetd.core.records import RunRecord
from fleetd.shell.documents import decode, encode
from fleetd.shell.held import Held
from fleetd.shell.journal import Entry, Journal
from fleetd.shell.orphans import RUN, Trace, owner_of, real_uid, unix_time, unrecorded

SLOT = re.compile(r"\d{1,6}", re.ASCII)

_log = logging.getLogger("fleetd")


class EarlierRuns:
    """The runs of an earlier daemon, whose notify sockets are in the folder `notify`.

    `uid_of` answers the user of a pool's workers, None for a pool that is not in the files.
    """

    def __init__(
        self, journal: Journal, notify: Path, uid_of: Callable[[str], int | None], *, keeper_is_new: bool
    ) -> None:
        self._entries = journal.open()
        self._notify = notify
        self._uid_of = uid_of
        self._unknown: list[str] = []  # runs that live, and whose slot nobody knows
        self._is_damaged = journal.damage is not None
        self._must_search = keeper_is_new or self._is_damaged

    def missing(self, held: Collection[str]) -> Iterator[Trace]:
        """The runs that no keeper holds, and that may live."""
        for run in self._entries.keys() - held:
            entry, notify = self._entries[run], str(self._notify / run)
            record = entry.record
            meta = encode(entry if record.pid is not None else _begun(record, notify)).decode()
            yield Trace(run, meta, notify, record.pid, entry.started, entry.pipe, record.directory)
        if self._must_search:
            for trace, told in unrecorded(self._notify, frozenset(held) | self._entries.keys()):
                assumed = self._assumed(trace, told)
                if assumed is None:
                    _log.warning("run %s (pid %s) is of no pool that is known: it is ended", trace.run, trace.pid)
                    self._unknown.append(trace.run)
                else:
                    yield replace(trace, meta=encode(_begun(assumed, trace.notify)).decode())

    def known(self, held: Held) -> Entry:
        """What is known of a run that lives.  One without an entry has lost it, and was as well as it is now.

        One of which the journal has the intent only is yet to be told that it lives.
        """
        entry = self._entries.get(held.run)
        if entry is None:
            begun = decode(held.meta, Entry)
            entry = replace(begun, record=replace(begun.record, ready=True, healthy=True))
        elif entry.record.pid is None:
            return replace(decode(held.meta, Entry), record=entry.record)
        known = replace(entry.record, pid=held.pid, directory=held.directory or None, ended=held.is_over)
        return replace(entry, record=known)

    def lost(self, held: Mapping[str, Entry]) -> dict[str, Entry]:
        """The runs that ended with nobody there to see how.

        Not those in whose place another one is, unless they were asked to end: a journal that could not be written, or
        was damaged, may not know that they are over.
        """
        taken = {(entry.record.pool, entry.record.slot) for entry in held.values()}
        return {
            run: entry
            for run, entry in self._entries.items()
            if run not in held and entry.record.pid is not None and _may_be_told(entry.record, taken)
        }

    def rest(self, known: Collection[str]) -> Collection[str]:
        """The runs that were only going to be started, or are over: whatever is left of them is to go."""
        return (self._entries.keys() | set(self._unknown)) - set(known)

    def tidy(self, known: Collection[str]) -> None:
        """Remove the sockets of runs that are over: whose they were would be believed."""
        with suppress(OSError):
            for path in self._notify.iterdir():
                if RUN.fullmatch(path.name) and path.name not in known:
                    path.unlink(missing_ok=True)

    def _assumed(self, trace: Trace, told: Mapping[str, str]) -> RunRecord | None:
        pool, slot = told.get("FLEETD_POOL", ""), told.get("FLEETD_SLOT", "")
        uid = self._uid_of(pool)
        is_its_user = trace.pid is not None and uid is not None and uid == real_uid(trace.pid)
        if not is_its_user or not SLOT.fullmatch(slot) or trace.started is None:
            return None
        return RunRecord(trace.run, pool, int(slot), UNDATED, unix_time(trace.started))


def _may_be_told(record: RunRecord, taken: Collection[tuple[str, int]]) -> bool:
    return record.ending is not None or (record.pool, record.slot) not in taken


def _begun(record: RunRecord, notify: str) -> Entry:
    owner = owner_of(notify)
    return Entry(record, uid=None if owner == os.geteuid() else owner)
