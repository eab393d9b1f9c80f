"""A requester and simulated members on one LocalCoordinator, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from fleetd.client.asking import PATIENCE as PATIENCE_AT_FIRST
from fleetd.client.asking import Wish, ask, within
from fleetd.client.contact import PATIENCE
from fleetd.client.following import Follower, Outcome
from fleetd.client.rollout_text import begun, changes, summary, trouble
from fleetd.client.verdict import End, View
from fleetd.coordination.local import LocalCoordinator
from fleetd.coordination.local_fleet import LocalFleet
from fleetd.coordination.port import HostProgress, Member, Request, Rollout
from fleetd.core.scope import Scope
from fleetd.core.spec import Amount
from fleetd.errors import NotFoundError, UnreachableError, UsageError, WaitTimeoutError
from fleetd.views.stragglers import stragglers
from tests.support.simulated_member import Does, SimulatedMember
from tests.support.virtual_time import run_virtually

EPOCH_NOW = 1_790_000_000.0


class Shaky(LocalCoordinator):
    """A coordinator that can be out of reach."""

    def __init__(self, fleet: LocalFleet) -> None:
        super().__init__(fleet)
        self.is_away = False
        self.hangs = False
        self.loses_members = False  # the next time that somebody asks
        self.lost_answers = 0

    def _check(self) -> None:
        if self.is_away:
            raise UnreachableError("no answer")

    async def watch(self, rollout: Rollout) -> Rollout:
        self._check()
        return await super().watch(rollout)

    async def members(self) -> list[Member]:
        self._check()
        if self.loses_members:
            self.loses_members = False
            raise UnreachableError("no answer")
        if self.hangs:
            await asyncio.sleep(100)
        return await super().members()

    async def request(self, request: Request) -> Rollout | None:
        answer = await super().request(request)
        if self.lost_answers:
            self.lost_answers -= 1
            raise UnreachableError("no answer")
        return answer


@dataclass
class Told:
    """What the requester's audience was told."""

    lines: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    known: dict[str, HostProgress] = field(default_factory=dict)

    def look(self, view: View) -> None:
        self.lines += changes(self.known, view.newest.hosts)
        self.known = dict(view.newest.hosts)

    def note(self, text: str) -> None:
        self.notes.append(text)


@dataclass
class World:
    fleet: LocalFleet
    coordinator: Shaky
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    told: Told = field(default_factory=Told)

    async def join(self, *members: SimulatedMember) -> None:
        for member in members:
            await member.beat(self.coordinator)
            self.tasks[member.name] = asyncio.create_task(self._live(member))

    async def _live(self, member: SimulatedMember) -> None:
        while not member.is_gone:
            await asyncio.sleep(2.0)
            if not self.coordinator.is_away:
                await member.beat(self.coordinator)

    async def restart(self, *, limit: float | None = 600.0, **wish: Any) -> Outcome:
        rollout = await ask(self.coordinator, Wish("alice@deploy-1", **wish))
        return await Follower(self.coordinator, rollout, self.told).until_over(limit)

    async def restart_without_waiting(self, limit: float | None = None) -> Outcome:
        rollout = await ask(self.coordinator, Wish("alice@deploy-1"))
        return await Follower(self.coordinator, rollout, self.told).until_seen(limit)


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    loop = asyncio.get_running_loop()
    fleet = LocalFleet(lambda: EPOCH_NOW + loop.time())
    made = World(fleet, Shaky(fleet))
    try:
        yield made
    finally:
        for task in made.tasks.values():
            task.cancel()
        await asyncio.gather(*made.tasks.values(), return_exceptions=True)


def in_world(test: Callable[[World], Awaitable[None]]) -> Callable[[], None]:
    """A test that runs in a world of its own, and takes no time."""

    async def within() -> None:
        async with world() as made:
            await test(made)

    def run() -> None:
        run_virtually(within())

    run.__name__ = test.__name__  # type: ignore[attr-defined]
    return run


def three(*does: Does) -> Sequence[SimulatedMember]:
    return [SimulatedMember(f"media-{number}/app", does=each) for number, each in enumerate(does, 1)]


ROLL3 = (Does.ROLL, Does.ROLL, Does.ROLL)


@in_world
async def test_all_hosts_roll_and_each_change_is_told(world: World) -> None:
    await world.join(*three(*ROLL3))
    outcome = await world.restart(label="v42", max_parallel_hosts=Amount(1))
    assert outcome.end is End.DONE
    assert [line for line in world.told.lines if line.startswith("media-2/app")] == [
        "media-2/app: asked",
        "media-2/app: waiting 0/2",
        "media-2/app: rolling 1/2",
        "media-2/app: done 2/2",
    ]
    assert summary(outcome).startswith("3 hosts, 6 workers restarted in ")
    assert summary(outcome).endswith(", longest drain 3s")
    assert world.told.notes == []


@in_world
async def test_what_is_asked_for_says_how_many_and_how_many_at_a_time(world: World) -> None:
    await world.join(*three(*ROLL3))
    rollout = await ask(world.coordinator, Wish("alice", max_parallel_hosts=Amount(share=0.34)))
    assert begun(rollout) == f"restart {rollout.epoch} of all hosts: 3 hosts, at most 1 at a time"
    assert rollout.intent.who == "alice"


@in_world
async def test_a_halt_tells_host_worker_reason_and_last_lines(world: World) -> None:
    await world.join(*three(Does.ROLL, Does.FAIL, Does.SEE))
    outcome = await world.restart()
    assert outcome.end is End.HALTED
    first, *lines, last = trouble(outcome, [], EPOCH_NOW)
    assert first.startswith("halted: media-2/app: media:0: exit code 1; ")
    assert first.endswith(" workers restarted, the others go on as they were")
    assert lines == ["  Traceback (most recent call last):", "  ImportError: no module \x1b[2Jx"]
    assert f"fleetd rollouts {outcome.view.newest.epoch} --resume" in last


@in_world
async def test_a_halt_by_order_says_by_whom(world: World) -> None:
    await world.join(*three(Does.SEE))

    async def halt() -> None:
        await asyncio.sleep(5)
        await world.coordinator.halt((await world.coordinator.rollouts())[0].epoch, "bob@ops")

    outcome, _ = await asyncio.gather(world.restart(), halt())
    assert outcome.end is End.HALTED
    assert next(trouble(outcome, [], EPOCH_NOW)).startswith("halted by bob@ops; 0 of 2 workers restarted")


@in_world
async def test_a_host_that_goes_missing_is_listed_once_the_others_are_done(world: World) -> None:
    await world.join(*three(Does.ROLL, Does.VANISH))
    outcome = await world.restart()
    assert outcome.end is End.MISSING
    assert 15 < outcome.duration < 40
    (line,) = trouble(outcome, [], world.fleet.clock())
    assert line.startswith("media-2/app went missing and did not come back, last seen 2")


@in_world
async def test_a_host_that_comes_back_in_time_is_no_trouble(world: World) -> None:
    gone, *others = three(Does.VANISH, Does.ROLL)
    await world.join(gone, *others)

    async def come_back() -> None:
        await asyncio.sleep(17)  # its lease has ended, for less than one more term
        assert not {member.name: member.is_live for member in await world.coordinator.members()}[gone.name]
        gone.is_gone, gone.does = False, Does.ROLL
        await world.join(gone)

    outcome, _ = await asyncio.gather(world.restart(), come_back())
    assert outcome.end is End.DONE


@pytest.mark.parametrize("back_at", [25, *range(36, 45)])
@pytest.mark.parametrize("fails", [False, True])
def test_a_host_that_comes_back_while_others_roll_is_waited_for(back_at: float, fails: bool) -> None:
    """Also where the coordinator is out of reach for the last look at who is there."""

    async def test(world: World) -> None:
        gone = SimulatedMember("media-1/app", does=Does.VANISH)
        await world.join(gone, SimulatedMember("media-2/app", numprocs=20))

        async def come_back() -> None:
            await asyncio.sleep(back_at)
            assert "media-2/app: done 20/20" not in world.told.lines
            gone.is_gone, gone.does = False, Does.ROLL
            await world.join(gone)
            world.coordinator.loses_members = fails

        outcome, _ = await asyncio.gather(world.restart(), come_back())
        assert outcome.end is End.DONE

    in_world(test)()


@in_world
async def test_a_flush_loses_nothing_while_the_requester_waits(world: World) -> None:
    members = three(*ROLL3)
    await world.join(*members)

    async def flush() -> None:
        await asyncio.sleep(1.5)
        world.fleet.flush()

    outcome, _ = await asyncio.gather(world.restart(max_parallel_hosts=Amount(1)), flush())
    assert outcome.end is End.DONE
    assert {member.epoch for member in members} == {outcome.view.newest.epoch}


@in_world
async def test_a_superseded_requester_says_so_once_and_waits_for_the_other(world: World) -> None:
    await world.join(*three(Does.ROLL, Does.SEE))

    async def supersede() -> Rollout:
        await asyncio.sleep(8)
        second = await ask(world.coordinator, Wish("bob", label="v43"))
        await asyncio.sleep(8)
        late = SimulatedMember("media-2/app")
        world.tasks["media-2/app"].cancel()
        await world.join(late)
        return second

    outcome, second = await asyncio.gather(world.restart(), supersede())
    assert outcome.end is End.DONE
    assert world.told.notes == [f"superseded by {second.epoch} (v43 by bob): waiting for that one"]
    first, followed = outcome.view.rollouts
    assert (first.superseded_by, followed.epoch) == (second.epoch, second.epoch)


@in_world
async def test_the_time_to_wait_ends_it_with_the_stragglers(world: World) -> None:
    job = {"id": "7", "name": "Transcode", "queue": "video", "started_at": EPOCH_NOW - 100}
    slow = SimulatedMember("media-1/app", does=Does.SEE, job=job)
    dumb = SimulatedMember("media-2/app", does=Does.NOTHING, numprocs=0)
    await world.join(slow, dumb, SimulatedMember("media-3/app"))
    outcome = await world.restart(limit=20.0)
    assert outcome.end is End.TIMED_OUT
    assert 20 <= outcome.duration < 21
    documents = {member.name: member.status for member in outcome.members}
    left = stragglers(documents, Scope(), outcome.view.newest.epoch, world.fleet.clock(), outcome.view.pending)
    first, *rest = trouble(outcome, left, world.fleet.clock())
    assert first.startswith("not finished after 20 s, 1 of 3 hosts done; the work itself goes on: follow it with ")
    assert rest == [
        "  media-1/app media:0 pid 4000 (running): Transcode (video) for 2m 0s",
        "  media-1/app media:1 pid 4001 (running): Transcode (video) for 2m 0s",
        "  media-2/app: asked",
    ]


@in_world
async def test_a_coordinator_that_is_away_for_a_while_is_told_once_and_waited_for(world: World) -> None:
    await world.join(*three(*ROLL3))

    async def cut() -> None:
        await asyncio.sleep(3)
        world.coordinator.is_away = True
        await asyncio.sleep(PATIENCE - 5)
        world.coordinator.is_away = False

    outcome, _ = await asyncio.gather(world.restart(max_parallel_hosts=Amount(1)), cut())
    assert outcome.end is End.DONE
    assert world.told.notes == ["Redis is out of reach, waiting", "Redis answers again"]


@in_world
async def test_the_time_of_a_cut_counts_against_nobody(world: World) -> None:
    (gone,) = three(Does.VANISH)
    await world.join(gone)

    async def cut() -> None:
        await asyncio.sleep(19)  # it has been seen to be away by now
        world.coordinator.is_away = True
        await asyncio.sleep(30)
        world.coordinator.is_away = False
        await asyncio.sleep(7)
        gone.is_gone, gone.does = False, Does.ROLL
        await world.join(gone)

    outcome, _ = await asyncio.gather(world.restart(), cut())
    assert outcome.end is End.DONE


@pytest.mark.parametrize(("limit", "end"), [(None, End.UNREACHABLE), (30.0, End.TIMED_OUT)])
def test_a_coordinator_that_stays_away_is_given_up(limit: float | None, end: End) -> None:
    @in_world
    async def run(world: World) -> None:
        await world.join(*three(Does.SEE))

        async def cut() -> None:
            await asyncio.sleep(3)
            world.coordinator.is_away = True

        outcome, _ = await asyncio.gather(world.restart(limit=limit), cut())
        assert outcome.end is end
        assert (limit or PATIENCE) <= outcome.duration < (limit or PATIENCE) + 6
        assert next(trouble(outcome, [], EPOCH_NOW))

    run()


@in_world
async def test_without_waiting_it_returns_when_a_member_has_seen_it(world: World) -> None:
    await world.join(*three(Does.NOTHING, Does.SEE))
    outcome = await world.restart_without_waiting()
    assert outcome.end is End.SEEN
    assert outcome.duration < 5


@pytest.mark.parametrize(("limit", "waited"), [(None, 10), (60.0, 10), (4.0, 4)])
def test_without_confirmation_it_gives_up_after_ten_seconds_or_earlier(limit: float | None, waited: float) -> None:
    @in_world
    async def run(world: World) -> None:
        await world.join(*three(Does.NOTHING))
        outcome = await world.restart_without_waiting(limit)
        assert outcome.end is End.UNSEEN
        assert waited <= outcome.duration < waited + 1
        assert f"no live member confirmed within {waited} s that it saw" in next(trouble(outcome, [], EPOCH_NOW))

    run()


# -- what is asked for -------------------------------------------------------------------------------------------------


async def refused(world: World, error: type[Exception], match: str, **wish: Any) -> None:
    with pytest.raises(error, match=match):
        await ask(world.coordinator, Wish("alice", **wish))
    assert await world.coordinator.rollouts() == []


@in_world
async def test_an_empty_fleet_is_not_asked(world: World) -> None:
    await refused(world, NotFoundError, "no live member")


@in_world
async def test_what_names_nothing_is_refused_with_what_there_is(world: World) -> None:
    await world.join(SimulatedMember("media-1/app", ("media", "mail")), SimulatedMember("web-1/app", ("hooks",)))
    await refused(world, NotFoundError, r"nope\*: .* there are hooks, mail, media", targets=("nope*",))
    await refused(world, NotFoundError, r"hooks: .* there are mail, media", targets=("hooks",), hosts=("media-1",))
    await refused(world, NotFoundError, "--host media-9: .* there are media-1, web-1", hosts=("media-1", "media-9"))
    await refused(world, UsageError, "media:0 is a worker .* --local", targets=("media:0",))


@in_world
async def test_patterns_are_expanded_to_the_pools_of_live_members(world: World) -> None:
    await world.join(SimulatedMember("media-1/app", ("media", "mail")), SimulatedMember("web-1/app", ("hooks",)))
    rollout = await ask(world.coordinator, Wish("alice", targets=("m*", "media"), hosts=("media-1",)))
    assert rollout.intent.scope == Scope(("media-1",), ("mail", "media"))
    assert set(rollout.hosts) == {"media-1/app"}


@in_world
async def test_a_failover_at_the_first_look_is_waited_for(world: World) -> None:
    await world.join(*three(*ROLL3))
    world.coordinator.is_away = True

    async def come_back() -> None:
        await asyncio.sleep(PATIENCE_AT_FIRST - 1)
        world.coordinator.is_away = False

    outcome, _ = await asyncio.gather(world.restart(), come_back())
    assert outcome.end is End.DONE


@in_world
async def test_a_coordinator_that_is_away_at_the_first_look_is_given_up_soon(world: World) -> None:
    world.coordinator.is_away = True
    began = asyncio.get_running_loop().time()
    with pytest.raises(UnreachableError, match=r"^no answer$"):
        await ask(world.coordinator, Wish("alice"))
    assert PATIENCE_AT_FIRST - 1 < asyncio.get_running_loop().time() - began <= PATIENCE_AT_FIRST


@in_world
async def test_the_time_to_wait_holds_for_the_asking(world: World) -> None:
    world.coordinator.is_away = True
    began = asyncio.get_running_loop().time()
    with pytest.raises(WaitTimeoutError, match=r"no answer after 3 s; the request may have arrived: see `it`"):
        await within(3.0, ask(world.coordinator, Wish("alice")), "it")
    assert asyncio.get_running_loop().time() - began == 3


@pytest.mark.parametrize(("no_wait", "end"), [(False, End.TIMED_OUT), (True, End.UNSEEN)])
def test_what_the_asking_took_is_part_of_the_time_to_wait(no_wait: bool, end: End) -> None:
    @in_world
    async def run(world: World) -> None:
        await world.join(*three(Does.NOTHING))
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(3)
        rollout = await ask(world.coordinator, Wish("alice"))
        follower = Follower(world.coordinator, rollout, world.told, began)
        outcome = await (follower.until_seen(5.0) if no_wait else follower.until_over(5.0))
        assert (outcome.end, outcome.duration) == (end, 5)

    run()


@in_world
async def test_a_last_look_without_an_answer_takes_a_second(world: World) -> None:
    await world.join(*three(Does.SEE))
    rollout = await ask(world.coordinator, Wish("alice"))
    began = asyncio.get_running_loop().time()

    async def hang() -> None:
        await asyncio.sleep(3)
        world.coordinator.hangs = True

    outcome, _ = await asyncio.gather(Follower(world.coordinator, rollout, world.told).until_over(6.0), hang())
    assert outcome.end is End.TIMED_OUT
    assert asyncio.get_running_loop().time() - began <= 7


@in_world
async def test_a_request_whose_answer_was_lost_is_one_request(world: World) -> None:
    await world.join(*three(*ROLL3))
    world.coordinator.lost_answers = 2
    rollout = await ask(world.coordinator, Wish("alice"))
    assert [each.epoch for each in await world.coordinator.rollouts()] == [rollout.epoch]
    world.coordinator.lost_answers = 1000
    with pytest.raises(UnreachableError, match="may have arrived: see `fleetd rollouts`"):
        await ask(world.coordinator, Wish("alice"))
