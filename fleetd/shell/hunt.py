"""Killing all that runs started where they have no cgroup: by looking through /proc, for all such runs at once."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Sequence
from itertools import takewhile

from msgspec import Struct, field

from fleetd.shell.proc import BECOMING, TEMPLATE, Process, Table, children_of, is_ending, read_process, run_of, send

KILL_SECONDS = 5.0
STORM_SECONDS = 10.0  # more, while there are always others than those that were struck before
SHORTEST_WAIT = 0.001
LONGEST_WAIT = 0.050
STOP_PASSES = 50  # a loop of forks is stopped within a few
QUIET_PASSES = 2
ORPHAN_PASSES = 4
MOST_KNOWN = 20_000  # processes whose FLEETD_RUN is remembered


class Prey(Struct, eq=False):
    """A run that is to be killed, and who waits for it."""

    run: str
    deadline: float
    gone: asyncio.Future[tuple[int, ...]]
    forbidden: set[int] = field(default_factory=set)
    struck: set[tuple[int, int]] = field(default_factory=set)  # pid and start

    def is_given_up(self, struck: set[tuple[int, int]], now: float) -> bool:
        """Whether its time is over at `now`, with these struck; who is so for the first time is about to be gone."""
        is_storm = not struck <= self.struck
        self.struck |= struck
        return now - self.deadline >= (STORM_SECONDS if is_storm else 0)


class Hunt:
    """What belongs to which run, and its end.

    To a run belong its main process, its session and process group, what carries its FLEETD_RUN, and all descendants
    of these.  The keeper is the subreaper, so whatever is left of a run whose leader has gone descends from a child of
    the keeper that is nobody's leader; for a run that is `foreign`, born under an earlier keeper, it may be anywhere.
    So it may for all runs from the keeper's end on, which is seen here, too: it may have told of a run's end just
    before its own.
    """

    def __init__(self) -> None:
        self._keeper: int | None = None
        self._leaders: dict[str, int] = {}
        self._others: dict[int, str] = {}  # the same by pid, and the keeper, which is no run's
        self._foreign: set[str] = set()
        self._expected: set[str] = set()  # asked for, and perhaps born: their main processes are not known yet
        self._orphans: list[Process] | None = None  # as last looked for
        self._has_looked = False  # since processes ended
        self._table: Table | None = None
        self._runs: dict[tuple[int, int], str | None] = {}  # FLEETD_RUN by pid and start, as reading it is slow
        self._prey: list[Prey] = []
        self._task: asyncio.Task[None] | None = None

    def serve(self, keeper: int | None) -> None:
        """Runs are born under this keeper from now on."""
        if self._keeper is not None:
            self._others.pop(self._keeper, None)
        self._keeper = keeper
        if keeper is not None:
            self._others[keeper] = ""

    def expect(self, run: str) -> None:
        """A run is asked for."""
        self._expected.add(run)

    def adopt(self, run: str, leader: int, *, foreign: bool) -> None:
        """A run's main process is `leader`."""
        self._expected.discard(run)
        self._leaders[run] = leader
        self._others[leader] = run
        if foreign:
            self._foreign.add(run)

    def forget(self, run: str) -> None:
        """The run is over."""
        self._expected.discard(run)
        leader = self._leaders.pop(run, None)
        if leader is not None and self._others.get(leader) == run:
            del self._others[leader]
        self._foreign.discard(run)

    def invalidate(self) -> None:
        """Processes have ended since /proc was last looked at."""
        self._table = None
        self._has_looked = False

    def is_empty(self, run: str) -> bool:
        """Whether nothing is left of an ended run: one look at the keeper's children, where it is not foreign."""
        orphans = None if self._is_foreign(run) else self._looked_for()
        if self._is_foreign(run):  # perhaps since we looked
            return not self._belonging(run, self._table or self._look())
        return orphans is not None and not any(self._is_marked(run, orphan) for orphan in orphans)

    def strays(self) -> tuple[int, ...]:
        """The orphans that belong to no run that is held."""
        return tuple(orphan.pid for orphan in self._looked_for() or () if self._is_nobodys(orphan))

    def _is_nobodys(self, orphan: Process) -> bool:
        marked = self._run_of(orphan)
        if marked is None:
            return self._others.keys().isdisjoint({orphan.session, orphan.group})
        return marked != TEMPLATE and marked not in self._leaders

    def _looked_for(self) -> list[Process] | None:
        """The orphans, looked for once for all runs that were told to have ended together."""
        if not self._has_looked:
            self._orphans = self._look_for_orphans()
            self._has_looked = True
        return self._orphans

    async def kill(self, run: str) -> tuple[int, ...]:
        """SIGKILL to all of the run, until nothing is left; the pids that are after 5 s, in a storm of forks 15 s."""
        loop = asyncio.get_running_loop()
        prey = Prey(run, time.monotonic() + KILL_SECONDS, loop.create_future())
        self._prey.append(prey)
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._pursue())
        left = await prey.gone
        self.invalidate()
        return left

    async def _pursue(self) -> None:
        wait = SHORTEST_WAIT
        while self._prey:
            await asyncio.sleep(0)  # all that are to be killed now are killed together
            self._stop_all()
            for prey in tuple(self._prey):
                left = self._belonging(prey.run, self._table or Table())
                for process in left:
                    self._send(prey, process, signal.SIGKILL)
                pids = tuple(sorted(process.pid for process in left))
                struck = {(process.pid, process.started) for process in left}
                is_over = prey.is_given_up(struck, time.monotonic())
                if is_over or prey.forbidden.issuperset(pids):  # also when there are none
                    self._prey.remove(prey)
                    if not prey.gone.done():
                        prey.gone.set_result(pids)
            if self._prey:
                await asyncio.sleep(wait)
                wait = min(wait * 2, LONGEST_WAIT)

    def _stop_all(self) -> None:
        """SIGSTOP whatever is found until nothing new is: who is stopped cannot fork, nor orphan its children."""
        stopped: set[tuple[int, int]] = set()
        quiet = 0
        for _ in range(STOP_PASSES):
            table = self._look()
            found = [(prey, process) for prey in self._prey for process in self._belonging(prey.run, table)]
            are_new = [self._stop(prey, process, stopped) for prey, process in found]
            are_new += takewhile(bool, (self._stop_orphans(stopped) for _ in range(STOP_PASSES)))
            orphans = self._look_for_orphans()
            for prey in self._prey:
                are_new += [
                    self._stop(prey, orphan, stopped) for orphan in orphans or () if self._is_marked(prey.run, orphan)
                ]
            quiet = 0 if any(are_new) or orphans is None else quiet + 1
            if quiet == QUIET_PASSES:
                return

    def _stop_orphans(self, stopped: set[tuple[int, int]]) -> bool:
        """Whether some orphan is stopped for the first time, each as soon as it is seen: a chain of them moves on."""
        are_new = False
        for pid in self._children_of_keeper():
            process = None if pid in self._others else read_process(pid)
            if process is not None and process.alive:
                for prey in self._prey:
                    are_new |= self._is_marked(prey.run, process) and self._stop(prey, process, stopped)
        return are_new

    def _stop(self, prey: Prey, process: Process, stopped: set[tuple[int, int]]) -> bool:
        """SIGSTOP, but once: whether it is for the first time."""
        if (process.pid, process.started) in stopped:
            return False
        stopped.add((process.pid, process.started))
        self._send(prey, process, signal.SIGSTOP)
        return True

    @staticmethod
    def _send(prey: Prey, process: Process, number: signal.Signals) -> None:
        try:
            send(process, number)
        except PermissionError:
            prey.forbidden.add(process.pid)

    # -- who belongs to whom --

    def _is_foreign(self, run: str) -> bool:
        return self._keeper is None or run in self._foreign or run not in self._leaders

    def _look(self) -> Table:
        self._table = Table()
        alive = {(process.pid, process.started) for process in self._table.processes.values()}
        self._runs = {key: run for key, run in self._runs.items() if key in alive}
        self._see_to_keeper()
        return self._table

    def _children_of_keeper(self) -> Sequence[int]:
        """The keeper's children; none from its end on."""
        if self._keeper is None:
            return ()
        found = children_of(self._keeper)
        self._see_to_keeper()
        return found or ()

    def _see_to_keeper(self) -> None:
        """What was just read of its children holds if it lives; else they have gone elsewhere, and any run's may be."""
        if self._keeper is not None and is_ending(self._keeper):
            self.serve(None)

    def _look_for_orphans(self) -> list[Process] | None:
        """The living children of the keeper that are no main process; None when they change as we look.

        One that ends as we look may leave children to the keeper, after we have asked for its own: so we look again.
        So we do when one is in the middle of an exec, as nothing says whose it is.
        """
        ended: set[int] = set()
        for _ in range(ORPHAN_PASSES):
            found = [(pid, read_process(pid)) for pid in self._children_of_keeper() if pid not in self._others]
            changing = {pid for pid, process in found if process is None or not process.alive}
            if changing <= ended:
                living = [process for _, process in found if process is not None and process.alive]
                if BECOMING not in map(self._run_of, living):
                    return [process for process in living if not self._is_expected(process)]
            ended = changing
        return None

    def _is_expected(self, process: Process) -> bool:
        """Whether it is a main process that we have not been told of yet, or a template."""
        marked = self._run_of(process)
        return marked in self._expected or (marked == TEMPLATE and process.session == process.pid)

    def _is_marked(self, run: str, process: Process) -> bool:
        """Whether it says itself that it is the run's: by its FLEETD_RUN, its session or its process group."""
        marked = self._run_of(process)
        return marked == run or (
            marked in {None, TEMPLATE, BECOMING} and self._leaders.get(run) in {process.session, process.group}
        )

    def _belonging(self, run: str, table: Table) -> list[Process]:
        leader = self._leaders.get(run)
        foreign = self._is_foreign(run)
        candidates = set() if leader is None else {leader, *table.members(leader)}
        candidates.update(table.processes if foreign else table.children(self._keeper or 0))
        seeds = [
            pid
            for pid in candidates
            if self._others.get(pid, run) == run
            and pid in table.processes
            and (pid == leader or self._is_marked(run, table.processes[pid]))
            and (foreign or self._is_ours(table.processes[pid], table))
        ]
        found = (table.processes[pid] for pid in table.with_descendants(seeds))
        return [process for process in found if process.alive and self._others.get(process.pid, run) == run]

    def _is_ours(self, process: Process, table: Table) -> bool:
        """Whether the keeper is its ancestor: a session's number may have gone to a stranger."""
        seen: set[int] = set()
        pid = process.pid
        while pid in table.processes and pid not in seen:
            if pid == self._keeper:
                return True
            seen.add(pid)
            pid = table.processes[pid].parent
        return False

    def _run_of(self, process: Process) -> str | None:
        key = (process.pid, process.started)
        if key not in self._runs:
            if len(self._runs) > MOST_KNOWN:
                self._runs.clear()
            run = run_of(process.pid) if process.alive else None
            if run == BECOMING:
                return run  # no answer to keep
            self._runs[key] = run
        return self._runs[key]
