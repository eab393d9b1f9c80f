"""Every command that waits: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any

import pexpect
import pytest

from tests.support.fleetd_cli import COMMAND, Fleetd
from tests.support.redis_server import RedisServer
from tests.support.simulated_fleet import simulated_fleet
from tests.support.simulated_member import Does, SimulatedMember

pytestmark = pytest.mark.process

BAR = "━"
POOL = {"command": "sleep 1000", "numprocs": 2, "healthy-after": "200ms"}
CHANGED = {**POOL, "command": "sleep 2000"}
OF_A_HOST = (
    *("start --detach", "stop media", "start media", "restart", "scale media=3", "pause", "resume", "reload"),
    *("upgrade", "stop"),
)


def on_terminal(words: Sequence[str], environment: dict[str, str]) -> str:
    """All that a command writes to a terminal; it must succeed."""
    told: Any = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **environment, "TERM": "xterm-256color"}
    command = pexpect.spawn(str(COMMAND), list(words), env=told, dimensions=(24, 120), timeout=60, encoding="utf-8")
    said = str(command.read())
    command.close()
    assert command.exitstatus == 0, said
    return re.sub("\x1b\\[[0-9;?]*[A-Za-z]", "", said)


@pytest.mark.full
def test_commands_of_a_host(fleetd: Fleetd) -> None:
    fleetd.configure({"media": POOL})
    for call in OF_A_HOST:
        if call == "reload":
            fleetd.configure({"media": CHANGED})
        verb, *rest = call.split()
        said = on_terminal([verb, "-c", str(fleetd.file), *rest], fleetd._environment())
        assert BAR in said, call
        assert verb in said, call
    fleetd.configure({"media": POOL})
    for call in OF_A_HOST:
        if call == "reload":
            fleetd.configure({"media": CHANGED})
        said = fleetd.run(*call.split()).stdout
        assert not re.search(f"\x1b|{BAR}", said), call
        assert re.search(r"^\d/\d .* worker", said, re.MULTILINE), call


def test_the_doctor(fleetd: Fleetd) -> None:
    fleetd.configure({"media": POOL})
    said = on_terminal(["doctor", "-c", str(fleetd.file)], fleetd._environment())
    assert re.search(f"{BAR}.* 1/3 .*pool media", said)
    assert BAR not in fleetd.run("doctor").stdout


def test_commands_of_a_fleet(shared_redis: RedisServer) -> None:
    with simulated_fleet(shared_redis.url, "acme-progress") as fleet:
        members = [SimulatedMember(f"media-{number}/app", does=Does.SEE) for number in (1, 2)]
        fleet.join(*members)
        environment: Any = fleet.environment()
        for call in ("pause --host media-1", "resume --host media-1"):
            said = on_terminal(call.split(), environment)
            assert re.search(f"{BAR}.* [01]/1 ", said), call
        fleet.run("restart", "--no-wait")
        fleet.run("rollouts", "--halt")
        for member in members:
            member.does = Does.ROLL
        said = on_terminal(["rollouts", "--resume"], environment)
        assert BAR in said
        assert "done 2/2" in said
        assert "4 workers restarted in" in said
