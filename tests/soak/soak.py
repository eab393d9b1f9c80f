"""The rounds: something is in progress, somebody is killed, and nothing may come of it."""

from __future__ import annotations

import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.soak import actions, verdict
from tests.soak.actions import Action, Wish, Wishes
from tests.soak.following import Follower
from tests.soak.instance import Instance, kill_now
from tests.soak.ledger import Entry, Ledgers
from tests.soak.lines import Accounts
from tests.soak.pools import BY_NAME, KINDS
from tests.soak.processes import Size, of_instance, size_of
from tests.soak.verdict import Circumstances
from tests.support.crash import started_at
from tests.support.process_world import alive
from tests.support.waiting import wait_for

SETTLE_EVERY = 20  # rounds
SPARE = 40  # descriptors: of a few runs more, as those that leave by themselves come and go
MOST_LOSSES = 20

Tell = Callable[[str], None]


def _as_fact(line: bytes, *, may_be_torn: bool) -> dict[str, Any]:
    """A line of the daemon's log.

    What is none as it should be is an error, but for a warning as `start` prints it, and for one that a kill tore: a
    write that goes on to another page may end there.  What it told is told again, or missed.
    """
    text = line.decode(errors="replace")
    if text.startswith("{"):
        with suppress(ValueError):
            fact: dict[str, Any] = json.loads(text)
            return fact
    is_expected = "warning: " in text or (text.startswith("{") and may_be_torn)
    return {"level": "warning" if is_expected else "error", "message": text}


@dataclass(slots=True)
class Result:
    """What came of the rounds."""

    kind: str
    seed: int
    rounds: int = 0
    losses: list[str] = field(default_factory=list)
    runs: int = 0  # that ended and were accounted for
    lines: int = 0
    repeated: int = 0  # lines that a formatted log has twice
    jobs: int = 0
    starts: list[float] = field(default_factory=list)  # seconds until a daemon took commands again
    exits: Counter[str] = field(default_factory=Counter)  # by reason
    told_again: int = 0  # exits that a killed daemon had told already
    untold: int = 0  # runs that nobody lived to hear of
    sizes: dict[str, tuple[Size, Size]] = field(default_factory=dict)  # before and after, of daemon and keeper


class Soak:
    """One instance through any number of rounds of one kind."""

    def __init__(self, directory: Path, kind: str, *, seed: int, workers: int, tell: Tell) -> None:
        self.result = Result(kind, seed)
        self._kind = kind
        self._tell = tell
        self._instance = Instance(directory, workers)
        self._ledgers = Ledgers(self._instance.ledgers)
        self._accounts = Accounts(self._instance.fleetd.log_directory)
        self._daemon_log = Follower(self._instance.fleetd.log_directory / "fleetd.log")
        self._told: defaultdict[str, list[verdict.Fact]] = defaultdict(list)  # exits by run
        wishes = Wishes({name: Wish({count}) for name, count in self._instance.counts.items()})
        self._around = Circumstances(wishes)
        self._counts: dict[str, list[int]] = {kind.name: [0, 0] for kind in KINDS}  # jobs done: at least, at most
        self._round = "before the first round"
        self._before: dict[str, Size] = {}
        self._start = 0.0  # seconds that a daemon's start took last

    # -- all of it ---------------------------------------------------------------------------------------------------

    def run(self, rounds: int) -> Result:
        """Begin, do so many rounds, and end; what was lost stands in the result."""
        self._instance.configure()
        self._start = self._instance.start()
        self._settle()
        for number in range(1, rounds + 1):
            self._one(number)
            self.result.rounds = number
            if number % SETTLE_EVERY == 0 or number == rounds:
                self._settle()
                self._before = self._before or self._sizes()  # of processes that have done everything once
                self._check_what_ended()
                self._report()
            if len(self.result.losses) >= MOST_LOSSES:
                break
        self._end()
        return self.result

    @property
    def where(self) -> str:
        """The round that is under way."""
        return f"{self._kind}, seed {self.result.seed}, {self._round}"

    def abandon(self) -> None:
        """End whatever runs."""
        self._instance.fleetd.end()

    def _one(self, number: int) -> None:
        chance = random.Random(f"{self.result.seed}/{self._kind}/{number}")
        action = self._something(chance)
        delay = chance.choice((None, 0.0, chance.uniform(0, 0.02), chance.uniform(0, 0.3)))
        self._round = f"round {number}: {action or 'nothing'}, then after {delay}"
        begun = action.begin(self._instance.control, self._around.wishes) if action is not None else None
        if begun is not None and delay is None:
            begun.answer(30)
        time.sleep(delay or 0)
        living = self._living()
        self._strike(chance)
        if begun is not None and action is not None:
            action.conclude(begun.answer(0.0 if self._kind in {"daemon", "both"} else 30), self._around.wishes)
            begun.close()
        self._check_at_once(living)

    def _something(self, chance: random.Random) -> Action | None:
        what = chance.random()
        if what < 0.12:
            return self._reload(chance)
        if what < 0.2:
            self._kill_workers(chance)
            return None
        return actions.any_of(chance, self._instance.counts)

    def _reload(self, chance: random.Random) -> Action:
        """A changed file: some pools are rolled, one has another number of workers."""
        rolled = chance.sample(actions.POOLS, 3)
        for name in rolled:
            self._instance.releases[name] += 1
        pool = chance.choice(actions.POOLS)
        original = self._instance.counts[pool]
        number = original + 1 if original % 2 else original - 1  # to and fro
        self._instance.counts[pool] = max(1, number)
        self._instance.configure()
        self._around.wishes.ask("scale", [pool])
        if number >= 1:
            self._around.wishes.of[pool].numprocs = {original, number} | self._around.wishes.of[pool].numprocs
        return Action("reload", {}, rolled, "restart")

    def _kill_workers(self, chance: random.Random) -> None:
        """Half of the workers are killed, and must be replaced."""
        living = self._living()
        for entry in chance.sample(living, len(living) // 2):
            self._around.killed.add(entry.run)
            if entry.lives:
                kill_now(entry.pid)

    # -- the strike --------------------------------------------------------------------------------------------------

    def _strike(self, chance: random.Random) -> None:
        match self._kind:
            case "daemon":
                kill_now(self._instance.daemon_pid())
                self._start_again(chance)
            case "keeper":
                kill_now(self._instance.keeper_pid())
                wait_for(self._instance.keeper_pid, "another keeper")
                if chance.random() >= 0.2:  # else it may be killed in its birth
                    wait_for(self._keeper_holds_runs, "the keeper to be given what lives")
            case "both":
                pids = [self._instance.daemon_pid(), self._instance.keeper_pid()]
                chance.shuffle(pids)
                self._around.both_killed(self._start)
                kill_now(*pids)
                self._start_again(chance)
            case "upgrade":
                self._upgrade()

    def _keeper_holds_runs(self) -> bool:
        """Whether the keeper has been given the pipes and sockets of those that live."""
        pid = self._instance.keeper_pid()
        return pid is not None and size_of(pid).descriptors > 2 * len(self._living())

    def _start_again(self, chance: random.Random) -> None:
        time.sleep(chance.choice((0, 0, chance.uniform(0, 0.3))))
        if chance.random() < 0.2:
            self._round += ", killed again while it took over"
            self._instance.start_and_kill(chance)
        self._start = self._instance.start()
        self.result.starts.append(self._start)

    def _upgrade(self) -> None:
        pid = self._instance.daemon_pid()
        began = time.monotonic()
        done = self._instance.upgrade()
        self.result.starts.append(time.monotonic() - began)
        if done.returncode != 0:
            self._lose(f"`fleetd upgrade` ended with {done.returncode}: {done.stdout}{done.stderr}")
        if self._instance.daemon_pid() != pid:
            self._lose(f"the daemon had pid {pid} before the upgrade, and has {self._instance.daemon_pid()}")

    # -- checks ------------------------------------------------------------------------------------------------------

    def _lose(self, what: str) -> None:
        loss = f"{self.where}: {what}"
        self.result.losses.append(loss)
        self._tell(f"LOST: {loss}")

    def _living(self) -> list[Entry]:
        return [entry for entry in self._ledgers.all() if entry.lives]

    def _check_at_once(self, before: list[Entry]) -> None:
        """Right after the strike: nobody died for nothing, no slot is doubled, wishes are remembered."""
        for entry in before:
            is_gone = not entry.lives  # first: what it wrote by then tells whether it had a reason
            now = self._ledgers.read(f"{entry.pool}.{entry.slot}.{entry.run}")
            heeds = now.armed and not now.term_at  # else it may have been asked before it could say so
            if is_gone and heeds and now.code is None and entry.run not in self._around.killed:
                self._lose(f"{entry.worker} (pid {entry.pid}, run {entry.run}) died though nobody asked it to")
        for name in self._ledgers.doubled():
            self._lose(f"a second process for one run: {name}")
        self._check_slots()
        self._check_wishes()
        self._check_who_is_known()

    def _check_slots(self) -> None:
        in_slot: defaultdict[str, list[str]] = defaultdict(list)
        for entry in self._living():
            in_slot[entry.worker].append(f"{entry.pid} ({entry.run})")
        for worker, pids in in_slot.items():
            if len(pids) > 2:
                self._lose(f"{worker} has {len(pids)} processes: {', '.join(pids)}")

    def _check_wishes(self) -> None:
        for pool in self._instance.status()["pools"]:
            wish = self._around.wishes.of[pool["name"]]
            is_stopped = pool["state"] in {"stopped", "stopping"} and not pool["paused"]
            if pool["numprocs"] not in wish.numprocs:
                self._lose(f"{pool['name']}: numprocs is {pool['numprocs']}, not one of {wish.numprocs}")
            if pool["paused"] not in wish.paused:
                self._lose(f"{pool['name']}: paused is {pool['paused']}, not one of {wish.paused}")
            if is_stopped not in wish.stopped and not pool["paused"] and pool["numprocs"]:
                self._lose(f"{pool['name']}: {pool['state']}, and whether it is stopped should be in {wish.stopped}")

    def _check_who_is_known(self) -> None:
        """The workers that live are those that the daemon knows, as soon as what is under way has ended."""
        suspects = self._unknown()  # somebody else comes or goes at every moment

        def cleared() -> bool:
            suspects.intersection_update(self._unknown() if suspects else ())
            return not suspects

        try:
            wait_for(cleared, "the daemon to know its workers", within=45, every=0.05)
        except AssertionError:
            self._lose(f"runs and pids that only the daemon or only the ledgers know of: {suspects}")

    def _unknown(self) -> set[tuple[str, int]]:
        workers = [worker for pool in self._instance.status()["pools"] for worker in pool["workers"]]
        known = {(worker["run"], worker["pid"]) for worker in workers if worker["pid"] is not None}
        living = {(entry.run, entry.pid) for entry in self._living()}
        return {(run, pid) for run, pid in living ^ known if alive(pid)}

    def _settle(self) -> None:
        """Take everything back that was asked for, and wait until every worker is there and well."""
        wishes = self._around.wishes
        for action in (
            actions.start(actions.POOLS),
            actions.resume(actions.POOLS),
            *(
                actions.scale(pool, count)
                for pool, count in self._instance.counts.items()
                if wishes.of[pool].numprocs != {count}
            ),
        ):
            request = action.begin(self._instance.control, wishes)
            action.conclude(request.answer(30), wishes)
            request.close()
        try:
            wait_for(lambda: not self._unsettled(), "every pool to be as in the file", within=60, every=0.1)
        except AssertionError:
            self._lose(f"not as in the file after a minute: {self._unsettled()}")

    def _unsettled(self) -> list[str]:
        left = []
        for pool in self._instance.status()["pools"]:
            name, workers = pool["name"], pool["workers"]
            well = [worker for worker in workers if worker["state"] == "running" and worker["healthy"]]
            expected = self._instance.counts[name]
            is_well = BY_NAME[name].leaves or len(well) == expected
            if len({worker["slot"] for worker in workers}) != expected or not is_well:
                left.append(f"{name}: {expected} wanted, {[(w['name'], w['state']) for w in workers]}")
        return left

    def _sizes(self) -> dict[str, Size]:
        pids = {"daemon": self._instance.daemon_pid(), "keeper": self._instance.keeper_pid()}
        return {name: size_of(pid) for name, pid in pids.items() if pid is not None}

    # -- what is over ------------------------------------------------------------------------------------------------

    def _read_facts(self) -> None:
        for line in self._daemon_log.lines():
            fact = _as_fact(line, may_be_torn=self._kind in {"daemon", "both"})
            kind = fact.get("kind")
            if kind == "worker.exited":
                self._told[fact["run"]].append(fact)
            elif kind == "daemon.started":
                self._around.found(fact["at"] - (time.time() - time.monotonic()))
            if kind is None and (fact["level"] == "error" or "traceback" in fact) and not self._is_expected(fact):
                self._lose(f"the daemon said: {fact['message']} {fact.get('traceback', '')}")

    def _is_expected(self, fact: dict[str, Any]) -> bool:
        """What a daemon says of a keeper that is killed, also in the moment of its start."""
        told = ("starting another one", "the keeper hung up; trying again")
        return self._kind in {"keeper", "both"} and any(text in fact["message"] for text in told)

    def _check_what_ended(self) -> None:
        """Every run that is over: its lines, its jobs, its exit, and what it had started."""
        ended = [entry for entry in self._ledgers.all() if not entry.lives]
        try:
            wait_for(lambda: not self._untold(ended), "every exit to be told", within=60, every=0.2)
        except AssertionError:
            self._tell(f"not told: {[entry.run for entry in self._untold(ended)]}")
        self._accounts.read()
        for entry in ended:
            self._close(self._ledgers.read(f"{entry.pool}.{entry.slot}.{entry.run}"))
        for strange in self._accounts.strange:
            self._lose(f"no worker wrote a line like this: {strange}")
        self._accounts.strange.clear()

    def _untold(self, ended: list[Entry]) -> list[Entry]:
        self._read_facts()
        return [entry for entry in ended if entry.run not in self._told]

    def _close(self, entry: Entry) -> None:
        told = self._told.pop(entry.run, [])
        account = self._accounts.close(entry.run)
        wrong = [
            *verdict.of_exit(entry, told, self._around),
            *verdict.of_lines(entry, account, told, self._around),
            *verdict.of_jobs(entry, told, self._around),
        ]
        if entry.child and alive(entry.child) and self._is_of(entry.child, entry.run):
            wrong.append(f"its child {entry.child} lives on")
        if wrong:
            self._lose(f"{entry.worker}, run {entry.run}: {'; '.join(wrong)} {entry}")
        least, most = verdict.jobs_done(entry, account, told, self._around)
        self._counts[entry.pool][0] += least
        self._counts[entry.pool][1] += most
        self.result.runs += 1
        self.result.jobs += entry.jobs
        self.result.repeated += account.repeated
        self.result.lines = self._accounts.lines
        self.result.exits.update(fact["reason"] for fact in told[:1])
        self.result.told_again += max(0, len(told) - 1)
        self.result.untold += not told
        self._ledgers.settle(entry)

    def _is_of(self, pid: int, run: str) -> bool:
        return any(process.pid == pid and process.run == run for process in of_instance(self._instance.directory))

    # -- the end -----------------------------------------------------------------------------------------------------

    def _end(self) -> None:
        self._round = f"after {self.result.rounds} rounds"
        after = self._sizes()
        self.result.sizes = {name: (self._before[name], after[name]) for name in after.keys() & self._before.keys()}
        for name, (then, now) in self.result.sizes.items():
            if now.descriptors > then.descriptors + SPARE or now.rss > 1.2 * then.rss + 2e6:
                self._lose(f"the {name} had {then} at first, and has {now}")
        self._around.wishes.ask("stop", actions.POOLS)
        self._instance.call("stop", targets=actions.POOLS)
        self._check_what_ended()
        self._check_counts()
        for log, part in self._accounts.unfinished().items():
            self._lose(f"{log} ends in the middle of a line: {part[-100:]!r}")
        pids = [self._instance.daemon_pid(), self._instance.keeper_pid()]
        born = {pid: started_at(pid) for pid in pids if pid is not None}
        self._instance.fleetd.run("stop")
        wait_for(lambda: all(started_at(pid) != at for pid, at in born.items()), "daemon and keeper to end")
        for process in of_instance(self._instance.directory):
            self._lose(f"left after `fleetd stop`: {process}")
        if left := self._ledgers.names():
            self._lose(f"runs that are not accounted for: {left}")

    def _check_counts(self) -> None:
        for pool in self._instance.status()["pools"]:
            least, most = self._counts[pool["name"]]
            done = pool["jobs"]["done"] or 0
            if not least <= done <= most:
                self._lose(f"{pool['name']}: {done} jobs are counted, and {least} to {most} were done")

    def _report(self) -> None:
        done = self.result
        starts = sorted(done.starts)
        half = f", back after {starts[len(starts) // 2]:.2f} s (at most {starts[-1]:.2f})" if starts else ""
        self._tell(
            f"{done.kind}: {done.rounds} rounds, {done.runs} runs, {done.lines} lines ({done.repeated} repeated), "
            f"{done.jobs} jobs, {len(done.losses)} losses{half}"
        )
