"""The `Processes` port: start, signal and watch runs through the keeper, on the daemon's event loop."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import resource
import signal
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from fleetd.core.capacity import DESCRIPTORS_A_RUN
from fleetd.keeper import WRITER
from fleetd.keeper.failure import StartError
from fleetd.shell.adopted import AdoptedExits
from fleetd.shell.asked import Asked
from fleetd.shell.cgroup import name_of, usable_folder
from fleetd.shell.held import Held, Outcomes, code_and_signal
from fleetd.shell.keeper_link import KeeperLink
from fleetd.shell.keeping import Keeping
from fleetd.shell.orphans import Trace, find, forks_over
from fleetd.shell.proc import Table
from fleetd.shell.spawn_request import SpawnRequest, explain
from fleetd.shell.tidying import Tidying
from fleetd.shell.tree import Trees

log = logging.getLogger(__name__)

Json = dict[str, Any]
SPARE_DESCRIPTORS = 64  # what the rest of the daemon needs


class Processes:
    """Runs as processes.  After `open`, look at `held`, then `begin`."""

    def __init__(
        self, folder: Path, instance: str, outcomes: Outcomes, environ: Mapping[str, str], trees: Trees
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._folder = folder
        self._instance = instance
        self._outcomes = outcomes
        self._environ = environ
        self._soft_nofile, self._hard_nofile = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._runs: dict[str, Held] = {}
        self._asked: dict[str, Asked] = {}
        self._adopted = AdoptedExits(self._loop, self._exited)
        self._tidying = Tidying(self._loop, trees)
        self._vanishing: set[asyncio.Task[None]] = set()
        self.trees = trees
        self._keeper = Keeping(
            self._loop,
            folder / "keeper.sock",
            instance,
            self._soft_nofile,
            take=self._take,
            lost=self._lose_keeper,
            replaced=self._hand_over,
        )

    @classmethod
    def open(
        cls,
        folder: Path,
        instance: str,
        outcomes: Outcomes,
        link: KeeperLink,
        *,
        environ: Mapping[str, str] | None = None,
        trees: Trees | None = None,
        missing: Callable[[Collection[str]], Iterable[Trace]] = lambda _: (),
    ) -> Processes:
        """Take over what the instance's keeper holds, which `link` has reached, and what lives of the `missing` runs.

        Those are the others that an earlier daemon knew, given those that are held.  `folder` is the instance's runtime
        directory; `environ` is what every worker gets beside its own; `trees` has cgroups where there can be some.  The
        soft limit of descriptors is raised to the hard one; workers get the present one.

        Raises:
            FleetdError: the keeper does not answer, or serves another daemon.

        """
        trees = trees or Trees(usable_folder(name_of(instance, folder)))
        processes = cls(folder, instance, outcomes, environ or {}, trees)
        hard = processes._hard_nofile
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # before the descriptors of all runs come
        for report, fds in processes._keeper.open(link):
            if report["event"] == "held":
                processes._take_over(report, fds)
        if traces := tuple(missing(processes._runs.keys())):
            table = Table()
            for trace in traces:
                processes._adopt(trace, table)
        processes.trees.serve(link.pid)
        processes.trees.sweep()
        processes._furnish()
        return processes

    def begin(self) -> None:
        """Let outcomes flow: first the exits of runs that ended while no daemon was there."""
        self._keeper.begin()
        for held in tuple(self._runs.values()):
            if held.ended:
                self._outcomes.exited(held.run, *code_and_signal(held.status))
            elif held.foreign:
                self._adopted.watch(held.run, held.pidfd, held.pid)

    @property
    def held(self) -> tuple[Held, ...]:
        """Every run that is held."""
        return tuple(self._runs.values())

    @property
    def keeper_pid(self) -> int | None:
        """The keeper's pid; None while there is none."""
        return self._keeper.pid

    def spawn(self, request: SpawnRequest) -> None:
        """Start a process; `spawned` or `spawn_failed` follows."""
        if DESCRIPTORS_A_RUN * (len(self._runs) + len(self._asked) + 1) + SPARE_DESCRIPTORS > self._hard_nofile:
            self._refuse(request, explain({"stage": "start", "errno": errno.EMFILE}, request))
        elif not self._keeper.is_there():
            self._refuse(request, "the keeper could not be started: see the log")
        else:
            self._ask(Asked(request), request)

    def _refuse(self, request: SpawnRequest, text: str) -> None:
        self._loop.call_soon(self._outcomes.spawn_failed, request.run, text)

    def _ask(self, asked: Asked, request: SpawnRequest) -> None:
        names: tuple[str, ...] = ()
        fds: list[int] = []
        if self._keeper.takes_ends:
            try:
                names, fds = asked.open()
            except StartError as error:
                asked.give_up()
                self._refuse(request, explain(error.report, request))
                return
        self._asked[request.run] = asked
        cgroup = self.trees.path_for(request.run, is_forked=request.preload is not None)
        self._keeper.request(replace(request, cgroup=cgroup, fds=names), fds)
        if WRITER in names:
            os.close(fds[names.index(WRITER)])
        os.sched_yield()  # a newborn may wait for this processor to come to its exec, and the keeper for that

    def signal(self, run: str, number: int) -> bool:
        """Send a signal to the run's main process only; whether there was one to take it."""
        held = self._runs.get(run)
        if held is None or held.ended:
            return False
        try:
            signal.pidfd_send_signal(held.pidfd, number)
        except ProcessLookupError:
            return False
        return True

    async def kill(self, run: str) -> tuple[int, ...]:
        """SIGKILL to everything that the run started, until nothing is left; the pids that were given up."""
        asked = self._asked.get(run)
        if asked is not None and asked.is_with_the_keeper:
            await asked.settled.wait()
        return await self.trees.kill(run)

    def forget(self, run: str) -> None:
        """Let go of a run that is over, and close its descriptors."""
        held = self._runs.pop(run, None)
        if held is None:
            return
        self._adopted.leave(held.pidfd)
        for descriptor in held.fds:
            os.close(descriptor)
        self._tidying.leave(run)
        self._keeper.request({"verb": "forget", "run": run}, [])

    def close(self, *, quit_keeper: bool) -> None:
        """Leave the runs to the keeper and the next daemon; or end the keeper too, when no run is left."""
        self._keeper.close(quit_keeper=quit_keeper)
        self._adopted.close()
        self._tidying.close()
        for held in self._runs.values():
            for descriptor in held.fds:
                os.close(descriptor)
        for asked in self._asked.values():
            asked.close()
        self._runs.clear()
        if quit_keeper:
            (self._folder / "keeper.sock").unlink(missing_ok=True)
            self.trees.remove()
        resource.setrlimit(resource.RLIMIT_NOFILE, (self._soft_nofile, self._hard_nofile))

    # -- the keeper --

    def _take(self, report: Json, fds: list[int]) -> None:
        self.trees.invalidate()
        match report["event"]:
            case "born":
                if (asked := self._asked.get(report["run"])) is not None:
                    asked.birth()
            case "spawned":
                self._spawned(report, fds)
            case "spawn-failed":
                self._spawn_failed(report)
            case "template":
                self._outcomes.template_told(report)
            case "exited":
                self._exited(report["run"], report["status"])
            case _:
                pass  # of a newer keeper

    def _lose_keeper(self) -> None:
        """Watch the runs, which no keeper has as its children any more, by pidfd."""
        for run, asked in self._asked.items():
            if not asked.is_sought:  # else another keeper was lost before
                asked.is_sought = True
                self._in_time(self._look_for(run, asked))
        for held in self._runs.values():
            self.trees.adopt(held.run, held.pid, held.cgroup, foreign=True)
            if not held.ended and not held.foreign:
                held.foreign = True
                self._adopted.watch(held.run, held.pidfd, held.pid)

    def _hand_over(self) -> None:
        """Give another keeper what the lost one held."""
        self.trees.serve(self._keeper.pid)
        for held in self._runs.values():
            self._keeper.request(held.request(), held.fds)
        self._furnish()

    def _furnish(self) -> None:
        """Tell a keeper what it needs for births."""
        self._tell_environ()
        self._prepare()

    def _tell_environ(self) -> None:
        self._keeper.request({"verb": "environ", "env": dict(self._environ)}, [])

    async def _look_for(self, run: str, asked: Asked) -> None:
        """A run was asked for when the keeper was lost: take it over, tell that it is over, or ask for it once more."""
        await forks_over(self._instance, self.keeper_pid)
        request = asked.request
        held = None
        if request is not None:
            trace = Trace(run, request.meta, request.notify or "", directory=request.directory, own=asked.own)
            held = self._adopt(trace, Table())
        if held is not None:
            self._answered(run)
            self._adopted.watch(run, held.pidfd, held.pid)
            self._outcomes.spawned(run, held.pid, held.directory, held.output, held.notify)
            if held.unreadable:
                await self.trees.kill(run)
            return
        left = await self.trees.kill(run)
        if request is not None and asked.was_heard_of():
            self._outcomes.spawned(run, None, request.directory, asked.own["output"], asked.own.get("notify"))
            self._outcomes.exited(run, None, None)
            self._answered(run, is_over=True)
            self._tidying.leave(run)
            return
        self._tidying.leave(run)
        self._answered(run, is_over=True)
        if request is not None and not left and not asked.again and self._keeper.is_there():
            self._ask(Asked(request, again=True), request)
            return
        text = "the keeper ended while it was starting" + (f" (left: pids {', '.join(map(str, left))})" if left else "")
        self._outcomes.spawn_failed(run, text)

    # -- runs --

    def _answered(self, run: str, *, is_over: bool = False) -> Asked | None:
        asked = self._asked.pop(run, None)
        if asked is not None:
            (asked.give_up if is_over else asked.close)()
        if not self._asked:
            self._prepare()
        return asked

    def _prepare(self) -> None:
        """Have the keeper go where the next run is to be born."""
        path = self.trees.prepare()
        if path is not None:
            self._keeper.request({"verb": "enter", "cgroup": path}, [])

    def _take_over(self, report: Json, fds: list[int]) -> None:
        held = self._runs[report["run"]] = Held.told(report, fds)
        self.trees.adopt(held.run, held.pid, held.cgroup, foreign=held.foreign)
        if held.starting:
            self._asked[held.run] = Asked(None)

    def _adopt(self, trace: Trace, table: Table) -> Held | None:
        """Take a run over that no keeper holds; None where it is gone, or its output is."""
        held = find(trace, table, self._folder, self._instance, self.keeper_pid)
        if held is None:
            return None
        self._runs[held.run] = held
        self.trees.adopt(held.run, held.pid, held.cgroup, foreign=True)
        self._keeper.request(held.request(), held.fds)
        return held

    def _spawned(self, report: Json, fds: list[int]) -> None:
        run = report["run"]
        asked = self._asked.get(run)
        own = {} if asked is None else asked.taken()
        self._answered(run)
        held = self._runs.get(run)
        if held is not None:  # taken over while it was starting: its descriptors came then
            for descriptor in fds:
                os.close(descriptor)
            held.starting = False
            held.directory = report["directory"] or held.directory
        elif asked is not None:
            for name in own.keys() & set(report["fds"]):  # the keeper had to make others
                os.close(own.pop(name))
            held = Held.told(report, fds, asked.request, own)
            self._runs[run] = held
            self.trees.adopt(run, held.pid, held.cgroup)
        else:
            return
        self._outcomes.spawned(run, held.pid, held.directory, held.output, held.notify)

    def _spawn_failed(self, report: Json) -> None:
        run = report["run"]
        if report["error"].get("errno") == errno.EMFILE:  # so the environment may not have arrived: before the next try
            with suppress(OSError):  # no descriptor is left here either: the next failure tells it again
                self._tell_environ()
        asked = self._answered(run)
        request = None if asked is None else asked.request
        held = self._runs.pop(run, None)
        for descriptor in [] if held is None else held.fds:
            os.close(descriptor)
        text = explain(report["error"], request or SpawnRequest(run=run, argv=("",), env={}, directory=""))
        if held is not None or (asked is not None and asked.is_born):
            self._in_time(self._end_failed(run, text))
        else:  # the keeper may still be where it was to be born
            self._tidying.leave(run)
            self._outcomes.spawn_failed(run, text)

    async def _end_failed(self, run: str, text: str) -> None:
        """What says that it failed ends by itself, and is made to."""
        await self.trees.kill(run)
        self._tidying.leave(run)
        self._outcomes.spawn_failed(run, text)

    def _in_time(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._vanishing.add(task)
        task.add_done_callback(self._vanishing.discard)

    def _exited(self, run: str, status: int | None) -> None:
        held = self._runs.get(run)
        if held is None or held.ended:
            return
        held.ended, held.status = True, status
        if held.foreign:
            self.trees.invalidate()
        self._outcomes.exited(run, *code_and_signal(status))
