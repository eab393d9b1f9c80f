"""A fleet on a network of its own whose cables are cut: before, during and after a request (P4, P5)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleetd.client.asking import PATIENCE
from fleetd.coordination.redis.scripts import script
from tests.support.fleetd_cli import Document, Fleetd
from tests.support.netns import Cut, Network, network
from tests.support.process_world import PROGRAMS
from tests.support.real_fleet import NAME, RealFleet, real_fleet
from tests.support.redis_server import RedisServer
from tests.support.waiting import stays, wait_for

pytestmark = [
    pytest.mark.process,
    pytest.mark.redis,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root makes network namespaces"),
    pytest.mark.timeout(150),
]

HOSTS = ("h1", "h2", "h3")
WORKER = ["/bin/sh", "-c", 'trap "exit 0" TERM; while :; do sleep 0.1; done']
HELD = (sys.executable, str(PROGRAMS / "held_request.py"))

BEAT = 2.2  # seconds, the longest
CONNECT = 2.0  # seconds until a connection is given up
BUSY = 6.0  # seconds that a machine with two cores and other work may add
PROOF = (
    6.5  # seconds until a worker counts as healthy: the turn of a host cut off ends in the middle of the second one's
)
HEARD = 2 * BEAT + CONNECT  # seconds after a heal within which a host is back

CUT_OFF = {"h2": Cut.BLACKHOLE, "h3": Cut.REFUSED}
both_cuts = pytest.mark.parametrize("cut", [Cut.BLACKHOLE, Cut.REFUSED], ids=str)


@dataclass(slots=True)
class Site:
    """The hosts, the CI machine `ci` and the server `redis`, each with a cable to one switch."""

    net: Network
    fleet: RealFleet

    def add(self, names: tuple[str, ...] = HOSTS, *, healthy_after: str = "200ms", numprocs: int = 2) -> None:
        media = {"command": WORKER, "numprocs": numprocs, "healthy-after": healthy_after}
        for name in names:
            inside = self.net.inside(name)
            self.fleet.host(name, {"media": media}, inside, **{"max-parallel-hosts": len(HOSTS)})

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Two of the hosts, each in its way, as soon as they have noticed."""
        with ExitStack() as stack:
            for name, cut in CUT_OFF.items():
                stack.enter_context(self.net.without(name, cut, "redis"))
            for name in CUT_OFF:
                wait_for(lambda name=name: not is_connected(self.fleet.hosts[name]), "the host to notice", every=0.2)
            yield

    def held_requester(self, gate: Path) -> subprocess.Popen[str]:
        """One that is about to ask for a restart: it is let through when the file is removed."""
        with self.fleet.server.connect() as client:
            client.script_load(script("request").text)  # or it would be asked for first, and the answer lost
        asking = self.fleet.ci_popen(str(gate), "restart", "--graceful", command=HELD)
        wait_for(gate.exists, "the requester to be about to ask")
        return asking

    def epochs(self, name: str) -> set[int | None]:
        return {worker["epoch"] for worker in self.fleet.hosts[name].pool("media")["workers"]}

    def starts(self, name: str) -> list[int]:
        """How often each of a host's workers was started, sorted; a slot with two workers counts twice."""
        return sorted(worker["starts"] for worker in self.fleet.hosts[name].pool("media")["workers"])

    def last(self) -> str | None:
        """The last number that was given out."""
        with self.fleet.server.connect() as client:
            found = client.get(f"fleetd:{{{NAME}}}:restart-epoch:last")
            assert found is None or isinstance(found, str)
            return found


@pytest.fixture
def site(short_path: Path) -> Iterator[Site]:
    with network("redis", "ci", *HOSTS) as net:
        address = net.address("redis")
        (short_path / "redis").mkdir()
        listening = ("--bind", address, "--protected-mode", "no")
        server = RedisServer(short_path / "redis", 6379, arguments=listening, inside=net.inside("redis"))
        try:
            server.start()
            with real_fleet(short_path, server, f"redis://{address}") as fleet:
                fleet.inside = net.inside("ci")
                yield Site(net, fleet)
        finally:
            server.stop()


def is_connected(host: Fleetd) -> bool:
    return bool(host.status()["fleet"]["connected"])


def back_after(host: Fleetd, healed: float) -> float:
    """Seconds from the heal until the fleet had the host again, by the host's own word."""
    wait_for(lambda: is_connected(host), "the host to be back", every=0.2)
    return float(host.events("fleet.joined")[-1]["at"]) - healed


def renewed_after(host: Fleetd, healed: float) -> float:
    """Seconds from the heal until the last worker of the new epoch was healthy."""
    return float(host.events("worker.healthy")[-1]["at"]) - healed


def check_once(fleet: RealFleet, starts: int = 2) -> None:
    """Each worker was replaced as often as it should, and it stays at that."""
    wanted = {name: [starts] * len(workers) for name, workers in fleet.pids().items()}
    assert fleet.starts() == wanted
    stays(lambda: fleet.starts() == wanted, "no worker is replaced again", seconds=2.5, every=0.5)


def rollouts(fleet: RealFleet) -> list[Document]:
    return list(json.loads(fleet.ci("rollouts", "--json").stdout)["rollouts"])


def test_cut_off_before_the_request(site: Site) -> None:
    site.add()
    fleet = site.fleet
    fleet.start()
    before = fleet.pids()
    with site.cut_off():
        wait_for(lambda: len(fleet.status()["hosts"]) == 1, "their leases to end", every=0.5)
        fleet.ci("restart", "--graceful")
        assert all(fleet.hosts[name].pids("media") == before[name] for name in CUT_OFF)
    healed = time.time()
    (epoch,) = site.epochs("h1")
    wait_for(lambda: all(site.epochs(name) == {epoch} for name in CUT_OFF), "the hosts to be renewed", every=0.2)
    for name, cut in CUT_OFF.items():
        host = fleet.hosts[name]
        back, renewed = back_after(host, healed), renewed_after(host, healed)
        print(f"{cut} before: back after {back:.2f} s, last worker renewed after {renewed:.2f} s")
        assert back < HEARD + BUSY
        assert renewed < HEARD + BUSY + 1.0  # two workers, one after the other, healthy after 0.2 s
    check_once(fleet)
    (rollout,) = rollouts(fleet)
    assert rollout["state"] == "done"


def test_cut_off_in_its_turn(site: Site) -> None:
    site.add(healthy_after=f"{PROOF}s", numprocs=3)
    fleet = site.fleet
    fleet.start()
    asking = fleet.ci_popen("restart", "--graceful")
    wait_for(lambda: set(fleet.turns()) >= set(CUT_OFF), "the hosts to take their turns")
    with site.cut_off():
        wait_for(lambda: not set(fleet.turns()) & set(CUT_OFF), "their turns to end")
        # What was begun is finished; with its turn over a host begins nothing new.
        wait_for(lambda: all(site.starts(name) == [1, 2, 2] for name in CUT_OFF), "two workers to be new", every=0.2)
        stays(lambda: all(site.starts(name) == [1, 2, 2] for name in CUT_OFF), "the third is left alone", seconds=2)
    healed = time.time()
    said, _ = asking.communicate(timeout=60)
    ended = time.time() - healed
    assert asking.returncode == 0, said
    print(f"in a turn: exit after {ended:.2f} s")
    for name, cut in CUT_OFF.items():
        host = fleet.hosts[name]
        back, renewed = back_after(host, healed), renewed_after(host, healed)
        print(f"{cut} in a turn: back after {back:.2f} s, last worker renewed after {renewed:.2f} s")
        assert back < HEARD + BUSY
        assert renewed < HEARD + BUSY + 2 * PROOF + 1.0  # one worker after the other
    check_once(fleet)
    (rollout,) = rollouts(fleet)
    assert rollout["state"] == "done"


def test_cut_off_after_the_request(site: Site) -> None:
    site.add()
    fleet = site.fleet
    fleet.start()
    fleet.ci("restart", "--graceful")
    after = fleet.pids()
    with site.cut_off():
        assert fleet.pids() == after
    healed = time.time()
    for name, cut in CUT_OFF.items():
        back = back_after(fleet.hosts[name], healed)
        print(f"{cut} after: back after {back:.2f} s")
        assert back < HEARD + BUSY
    check_once(fleet)
    assert fleet.pids() == after


@both_cuts
def test_a_requester_that_is_cut_off_while_it_waits(site: Site, cut: Cut) -> None:
    site.add(HOSTS[:2], healthy_after="2s")
    fleet = site.fleet
    fleet.start()
    asking = fleet.ci_popen("restart", "--graceful")
    wait_for(fleet.turns, "a host to take its turn")
    with site.net.without("ci", cut, "redis"):
        said = read_until(asking, "out of reach, waiting")
        wait_for(lambda: all(starts == [2, 2] for starts in fleet.starts().values()), "the hosts to go on", every=0.3)
    healed = time.time()
    rest, _ = asking.communicate(timeout=60)
    print(f"{cut} of the requester: exit {time.time() - healed:.2f} s after the heal")
    said += rest
    assert asking.returncode == 0, said
    assert said.count("out of reach, waiting") == 1, said
    assert said.count("answers again") == 1, said
    check_once(fleet)


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """What it says up to the line with the text."""
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if text in line:
            return said
    raise AssertionError(f"ended without {text!r}: {said}")


@pytest.mark.parametrize("cut", Cut, ids=str)
def test_a_request_that_is_sent_into_a_cut(site: Site, cut: Cut) -> None:
    """Applied once, or not at all where it did not arrive; the requester says in one line that it does not know."""
    site.add(HOSTS[:1])
    fleet, gate = site.fleet, site.fleet.directory / "gate"
    fleet.start()
    before = fleet.pids()
    asking = site.held_requester(gate)
    with site.net.without("ci", cut, "redis"):
        sent = time.monotonic()
        wait_for(lambda: gate.unlink(missing_ok=True) or asking.poll() is not None, "the requester to give up")
        took = time.monotonic() - sent
        said, _ = asking.communicate(timeout=10)
    print(f"{cut} of the request: exit {asking.returncode} after {took:.2f} s: {said.strip()}")
    assert asking.returncode == 4, said
    assert len(said.splitlines()) == 1, said
    assert took < PATIENCE + 2 * CONNECT + BUSY
    arrived = cut is Cut.UNANSWERED
    if arrived:
        wait_for(lambda: all(starts == [2, 2] for starts in fleet.starts().values()), "the restart", every=0.3)
        check_once(fleet)
    else:
        stays(lambda: site.last() is None, "no request arrives late", seconds=7)
        assert fleet.pids() == before
    assert len(rollouts(fleet)) == int(arrived)
    fleet.ci("restart", "--graceful")
    check_once(fleet, starts=3 if arrived else 2)


def test_an_answer_that_is_lost_is_asked_for_again(site: Site) -> None:
    """What is asked for twice is one request."""
    site.add(HOSTS[:1])
    fleet, gate = site.fleet, site.fleet.directory / "gate"
    fleet.start()
    asking = site.held_requester(gate)
    with site.net.without("ci", Cut.UNANSWERED, "redis"):
        gate.unlink()
        wait_for(gate.exists, "the requester to be about to ask again")
        epoch = site.last()
        assert epoch is not None
    gate.unlink()
    said, _ = asking.communicate(timeout=60)
    assert asking.returncode == 0, said
    assert site.last() == epoch
    check_once(fleet)


@both_cuts
def test_a_host_that_starts_cut_off(site: Site, cut: Cut) -> None:
    """Its workers run at once, of no known epoch, and are replaced once when there is one."""
    site.add(HOSTS[:2])
    fleet = site.fleet
    first, second = fleet.hosts.values()
    first.start()
    fleet.ci("restart", "--graceful")
    (epoch,) = site.epochs("h1")
    with site.net.without("h2", cut, "redis"):
        began = time.monotonic()
        second.start()
        took = time.monotonic() - began
        assert site.epochs("h2") == {None}
    healed = time.time()
    wait_for(lambda: site.epochs("h2") == {epoch}, "the host to be renewed", every=0.2)
    back, renewed = back_after(second, healed), renewed_after(second, healed)
    print(f"{cut} from the start: started in {took:.2f} s, back after {back:.2f} s, renewed after {renewed:.2f} s")
    assert took < 10 + BUSY
    assert back < HEARD + BUSY
    assert renewed < HEARD + BUSY + 1.0
    check_once(fleet)
