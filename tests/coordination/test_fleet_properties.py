"""A fleet in which anything may happen, and what must hold all the same (P4, P5, P6), in virtual time."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fleetd.coordination.port import RolloutState
from fleetd.core.events import RestartRequested, Target
from fleetd.core.spec import Amount
from tests.support.fleet_world import BROKEN, FleetWorld, answered
from tests.support.requirement import in_ci

HOSTS = ("h1", "h2", "h3")
POOLS = ("mail", "media")
hosts = st.sampled_from(HOSTS)


class Fleet(RuleBasedStateMachine):
    """Operators, networks, servers and daemons do as they like; workers obey, and those of a broken release crash."""

    @initialize(most=st.integers(1, 3))
    def begin(self, most: int) -> None:
        self.most = most
        self.fleet = FleetWorld(dict.fromkeys(POOLS, 2), max_parallel=Amount(most))
        self.fleet.add(*HOSTS)
        self.asked = 0  # how often anything could have been a reason to replace a worker
        self.releases = 1

    @rule(seconds=st.sampled_from([0.25, 1.0, 3.0, 12.0]))
    def wait(self, seconds: float) -> None:
        self.fleet.advance(seconds)

    @rule(
        chosen=st.none() | st.sets(hosts, min_size=1).map(tuple),
        pools=st.none() | st.sets(st.sampled_from(POOLS), min_size=1).map(tuple),
    )
    def request(self, chosen: tuple[str, ...] | None, pools: tuple[str, ...] | None) -> None:
        if self.fleet.try_request(hosts=chosen, pools=pools) is not None:
            self.asked += 1

    @rule(key=st.sampled_from(["", "pool:media", "host:h1", "host:h2:pool:mail"]))
    def incr(self, key: str) -> None:
        raw = self.fleet.memory.epochs.get(key, "0")
        if raw.isdecimal():
            self.fleet.memory.epochs[key] = str(int(raw) + 1)
            self.asked += 1

    @rule(key=st.sampled_from(["", "host:h1"]), poison=st.sampled_from(["x", "9" * 15, str(2**53)]))
    def poison(self, key: str, poison: str) -> None:
        self.fleet.memory.epochs[key] = poison

    @rule(host=hosts)
    def cut(self, host: str) -> None:
        self.fleet[host].reachable = False

    @rule(host=hosts)
    def heal(self, host: str) -> None:
        self.fleet[host].reachable = True

    @rule()
    def flush(self) -> None:
        self.fleet.memory.flush()

    @rule(host=hosts, lost=st.booleans())
    def kill_the_daemon(self, host: str, lost: bool) -> None:
        self.fleet[host].die_and_start_again(intents_lost=lost)

    @rule(host=hosts, stopped=st.booleans(), lost=st.booleans())
    def begin_anew(self, host: str, stopped: bool, lost: bool) -> None:
        if stopped:
            self.fleet[host].stop_and_start()
        else:
            self.fleet[host].reboot(state_is_lost=lost)

    @rule(host=hosts, pool=st.sampled_from(POOLS))
    def restart_here(self, host: str, pool: str) -> None:
        world = self.fleet[host]
        world.step(RestartRequested(world.new_roll(), (Target(pool),)))
        self.asked += 1

    @rule(host=hosts)
    def deploy_what_is_broken(self, host: str) -> None:
        self.fleet.deploy(BROKEN, host)

    @rule()
    def deploy(self) -> None:
        self.releases += 1
        self.fleet.deploy(f"/releases/{self.releases}")

    @precondition(lambda self: self.fleet.memory.kept)
    @rule(data=st.data(), halts=st.booleans())
    def steer(self, data: st.DataObject, halts: bool) -> None:
        epoch = data.draw(st.sampled_from(sorted(self.fleet.memory.kept)))
        coordinator = self.fleet.coordinator()
        answered(coordinator.halt(epoch, "alice") if halts else coordinator.resume(epoch, "alice"))

    @rule(host=hosts, paused=st.booleans())
    def pause(self, host: str, paused: bool) -> None:
        answered(self.fleet.coordinator().pause((f"host:{host}",), paused=paused))

    @invariant()
    def no_more_hosts_roll_than_may(self) -> None:
        assert self.fleet.most_rolling <= self.most

    @invariant()
    def nothing_is_replaced_that_nobody_asked_for(self) -> None:
        for host in self.fleet.hosts.values():
            if self.asked == 0:
                assert not any(pool.roll for pool in host.state.pools.values())

    def teardown(self) -> None:
        """All is well again: one more request brings every worker to its epoch and to the newest release."""
        if not hasattr(self, "fleet"):
            return
        for host in HOSTS:
            self.fleet[host].reachable = True
        self.fleet.advance(5)  # a pause that is lifted in the moment after a flush comes back with who remembers it
        answered(self.fleet.coordinator().pause(tuple(f"host:{host}" for host in HOSTS), paused=False))
        self.fleet.deploy("/releases/last")
        self.fleet.advance(25)
        epoch = self.fleet.request(most=self.most).epoch
        self.fleet.advance(150)
        assert self.fleet.rollout(epoch).state is RolloutState.DONE, self.fleet.rollout(epoch)
        for host in self.fleet.hosts.values():
            for pool in POOLS:
                assert len(host.runs(pool)) == 2
                assert host.directories(pool) == {"/releases/last"}
                assert host.epochs(pool) == {epoch}


TestFleet = Fleet.TestCase
TestFleet.settings = settings(
    max_examples=60 if in_ci() else 25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
