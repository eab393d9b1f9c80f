"""The fleet's commands as a CI job and an operator run them: a real Redis, simulated members."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from fleetd.coordination.port import Intent, Request
from tests.support.fleetd_cli import COMMAND
from tests.support.redis_server import RedisServer
from tests.support.simulated_fleet import SimulatedFleet, simulated_fleet
from tests.support.simulated_member import Does, SimulatedMember
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.process, pytest.mark.redis]

_NUMBERS = itertools.count(1)
NASTY = "v1\x1b]0;owned\x07\x1b[2J\nfake line"


@pytest.fixture
def fleet(shared_redis: RedisServer) -> Iterator[SimulatedFleet]:
    """An empty fleet of the test's own."""
    with simulated_fleet(shared_redis.url, f"acme-{next(_NUMBERS)}") as made:
        yield made


def epochs(fleet: SimulatedFleet) -> list[int]:
    return [rollout.epoch for rollout in fleet.do(fleet.coordinator.rollouts())]


LOST, FOUND = "fleetd restart: Redis is out of reach, waiting\n", "fleetd restart: Redis answers again\n"


def trouble(told: str) -> str:
    """What was told on standard error, but that Redis was away for a moment: a busy machine holds its answers up."""
    lines = told.splitlines(keepends=True)
    assert lines.count(LOST) - lines.count(FOUND) in {0, 1}, told
    return "".join(line for line in lines if line not in {LOST, FOUND})


def ended_well(requester: subprocess.Popen[str]) -> tuple[str, str]:
    """What there is to read of its output and of its errors, which is little, once it has ended with exit code 0.

    `communicate` would lose what was read ahead of a line.
    """
    assert requester.stdout is not None
    assert requester.stderr is not None
    code = requester.wait(40)
    output, errors = requester.stdout.read(), requester.stderr.read()
    assert code == 0, output + errors
    return output, errors


def two(*does: Does) -> list[SimulatedMember]:
    chosen = does or (Does.ROLL, Does.ROLL)
    return [SimulatedMember(f"media-{number}/app", does=each) for number, each in enumerate(chosen, 1)]


# -- restart -----------------------------------------------------------------------------------------------------------


def test_a_ci_job_restarts_the_fleet_and_sees_each_change(fleet: SimulatedFleet) -> None:
    fleet.join(*two())
    ci = {"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "alice", "GITHUB_SERVER_URL": "https://github.example"}
    ci |= {"GITHUB_REPOSITORY": "acme/app", "GITHUB_RUN_ID": "7"}
    done = fleet.run("restart", "--graceful", "--label", "v42", "--timeout", "1m", **ci)
    first, *changes, last = done.stdout.splitlines()
    assert re.fullmatch(r"restart \d+ of all hosts: 2 hosts", first)
    assert {"media-1/app: asked", "media-1/app: done 2/2", "media-2/app: done 2/2"} <= set(changes)
    assert re.fullmatch(r"2 hosts, 4 workers restarted in \d+s, longest drain 3s", last)
    assert trouble(done.stderr) == ""
    (rollout,) = fleet.do(fleet.coordinator.rollouts())
    assert (rollout.intent.label, rollout.intent.mode) == ("v42", "graceful")
    assert rollout.intent.who == "alice (https://github.example/acme/app/actions/runs/7)"


def test_a_halted_restart_exits_1_with_the_workers_last_lines_made_safe(fleet: SimulatedFleet) -> None:
    fleet.join(*two(Does.FAIL, Does.SEE))
    done = fleet.run("restart", "--now", code=1)
    assert "fleetd restart: halted: media-1/app: media:0: exit code 1; 0 of 4 workers restarted\n" in done.stderr
    assert "fleetd restart:   ImportError: no module x\n" in done.stderr
    assert "\x1b" not in done.stderr
    assert fleet.do(fleet.coordinator.rollouts())[0].intent.mode == "now"


def test_json_is_one_document_and_nothing_else(fleet: SimulatedFleet) -> None:
    fleet.join(*two())
    document = json.loads(fleet.run("restart", "--json", "media", "--host", "media-2").stdout)
    assert (document["outcome"], document["done"], document["total"]) == ("done", 2, 2)
    assert document["scope"] == {"hosts": ["media-2"], "pools": ["media"]}
    assert [host["name"] for host in document["hosts"]] == ["media-2/app"]
    assert [document["epoch"]] == epochs(fleet)
    fleet.join(SimulatedMember("media-3/app", does=Does.FAIL))
    done = fleet.run("restart", "--json", "--host", "media-3", code=1)
    document = json.loads(done.stdout)
    assert document["outcome"] == "halted"
    assert document["hosts"][0]["error"]["worker"] == "media:0"
    assert "halted: media-3/app" in done.stderr


def test_the_time_to_wait_ends_it_with_exit_code_5_and_the_stragglers(fleet: SimulatedFleet) -> None:
    job = {"id": "7", "name": "Transcode\x1b[2J", "queue": "video", "started_at": 1_700_000_000.0}
    fleet.join(SimulatedMember("media-1/app", does=Does.SEE, job=job), SimulatedMember("media-2/app"))
    done = fleet.run("restart", "--timeout", "6s", code=5)
    said = r"fleetd restart: not finished after ([6-9]|\d\d)(\.\d)? s, 1 of 2 hosts done; the work itself goes on"
    assert re.search(said, done.stderr)
    straggler = r"^fleetd restart:   media-1/app media:0 pid 4000 \(running\): Transcode \(video\) for \d+d"
    assert re.search(straggler, done.stderr, re.MULTILINE)
    assert "media-2/app" not in done.stderr
    document = json.loads(fleet.run("restart", "--timeout", "2s", "--json", "--host", "media-1", code=5).stdout)
    assert [each["pid"] for each in document["stragglers"]] == [4000, 4001]
    assert document["stragglers"][0]["age"] > 1e6


def test_no_wait_returns_once_a_member_has_seen_it(fleet: SimulatedFleet) -> None:
    fleet.join(*two(Does.SEE, Does.NOTHING))
    done = fleet.run("restart", "--no-wait")
    assert f"seen; follow it with `fleetd rollouts {epochs(fleet)[0]}`" in done.stdout


def test_no_wait_without_confirmation_exits_5(fleet: SimulatedFleet) -> None:
    fleet.join(*two(Does.NOTHING))
    done = fleet.run("restart", "--no-wait", "--timeout", "3s", code=5)
    said = r"no live member confirmed within ([3-9]|\d\d)(\.\d)? s that it saw the request; it stands"
    assert re.search(said, done.stderr)
    assert len(epochs(fleet)) == 1


def test_a_host_that_went_missing_is_exit_code_1(fleet: SimulatedFleet) -> None:
    fleet.join(*two(Does.ROLL, Does.VANISH))
    done = fleet.run("restart", code=1)
    told = trouble(done.stderr)
    assert re.search(r"^fleetd restart: media-2/app went missing and did not come back, last seen [1-9]\ds ago", told)
    assert told.count("\n") == 1


def test_a_superseded_requester_waits_for_the_newer_one(fleet: SimulatedFleet) -> None:
    slow = SimulatedMember("media-1/app", does=Does.SEE)
    fleet.join(slow)
    first = fleet.popen("restart", "--label", "v1")
    wait_for(lambda: len(epochs(fleet)) == 1, "the first request")
    second = fleet.popen("restart", "--label", "v2")
    wait_for(lambda: len(epochs(fleet)) == 2, "the second request")
    assert first.stderr is not None
    told = ""
    for line in iter(first.stderr.readline, ""):
        told += line
        if line not in {LOST, FOUND}:
            break
    slow.does = Does.ROLL
    for requester, before, said in (
        (first, told, r"fleetd restart: superseded by \d+ \(v2 by .*\): waiting for that one\n"),
        (second, "", ""),
    ):
        output, errors = ended_well(requester)
        assert re.fullmatch(said, trouble(before + errors))
        assert "1 host, 2 workers restarted in" in output


def test_ctrl_c_ends_the_waiting_only(fleet: SimulatedFleet) -> None:
    fleet.join(*two(Does.SEE))
    waiting = fleet.popen("restart")
    assert waiting.stdout is not None
    wait_for(lambda: "waiting" in (waiting.stdout.readline() if waiting.stdout else ""), "a change to be told")
    waiting.send_signal(signal.SIGINT)
    _, errors = waiting.communicate(timeout=20)
    follow = f"follow it with `fleetd rollouts {epochs(fleet)[0]}`"
    assert waiting.returncode == 130
    assert trouble(errors) == f"fleetd restart: interrupted; the work itself goes on: {follow}\n"


@pytest.mark.parametrize(("sink", "why"), [("/dev/full", "No space left on device"), ("head -n 1", "Broken pipe")])
def test_an_output_that_nobody_takes_ends_the_waiting_only(fleet: SimulatedFleet, sink: str, why: str) -> None:
    fleet.join(SimulatedMember("media-1/app", numprocs=200))  # there is something to write for longer than this takes
    to = f"> {sink}" if sink.startswith("/") else f"| {sink}"
    script = f"set -o pipefail; {COMMAND} restart {to}"
    done = subprocess.run(
        ["bash", "-c", script], env=fleet.environment(), capture_output=True, text=True, timeout=30, check=False
    )
    (epoch,) = epochs(fleet)
    goes_on = f"the work itself goes on: follow it with `fleetd rollouts {epoch}`"
    assert trouble(done.stderr) == f"fleetd restart: the output could not be written: {why}; {goes_on}\n"
    assert done.returncode == 1


def test_redis_that_goes_away_is_waited_for(redis_server: RedisServer) -> None:
    with simulated_fleet(redis_server.url, "acme") as fleet:
        slow = SimulatedMember("media-1/app", does=Does.SEE)
        fleet.join(slow)
        waiting = fleet.popen("restart")
        assert waiting.stdout is not None
        assert waiting.stderr is not None
        for line in waiting.stdout:
            if line == "media-1/app: waiting 0/2\n":
                break
        redis_server.stop()
        assert waiting.stderr.readline() == LOST
        redis_server.start()  # empty: the requester and the member bring the rollout back
        assert waiting.stderr.readline() == FOUND
        slow.does = Does.ROLL
        _, errors = ended_well(waiting)
        assert trouble(errors) == ""


UNREACHABLE = [
    *("restart", "restart --no-wait", "rollouts", "rollouts 5 --halt", "status --fleet", "status --fleet --json"),
    *("events --fleet", "events --fleet -f", "pause --host h", "resume --host h media"),
]


def test_redis_out_of_reach_is_one_line_and_exit_code_4() -> None:
    """All of them at once, as each tries for some seconds."""
    secret = "redis://someone:s3cr3t@127.0.0.1:1/0"  # nobody listens there
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "FLEETD_REDIS": secret, "FLEETD_FLEET": "acme"}
    calls = [
        subprocess.Popen(
            [str(COMMAND), *call.split()],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for call in UNREACHABLE
    ]
    ended = [(done.args, *done.communicate(timeout=60), done.returncode) for done in calls]
    for call, output, errors, code in ended:
        assert (code, output) == (4, ""), call
        assert errors.count("\n") == 1, call
        assert "127.0.0.1:1" in errors, call
        assert "s3cr3t" not in errors, call


@pytest.mark.parametrize(
    ("call", "code", "said", "at_most"),
    [
        ("restart --timeout 1s", 5, "no answer after 1 s; the request may have arrived: see `fleetd rollouts`", 20),
        ("pause --host h --timeout 1s", 5, "no answer after 1 s; the request may have arrived", 20),
        ("rollouts", 4, "redis://queue.example:6379/0: ", 30),
    ],
)
def test_a_name_server_that_does_not_answer_takes_no_longer_than_redis(
    tmp_path: Path, call: str, code: int, said: str, at_most: float
) -> None:
    program = (
        "import socket, sys, time; socket.getaddrinfo = lambda *_, **__: time.sleep(60);"
        "import redis.asyncio; from fleetd.cli.main import COMMANDS, main; [each.load() for each in COMMANDS.values()];"
        "began = time.monotonic();"
        f"code = main({call.split()!r}); open(sys.argv[1], 'w').write(str(time.monotonic() - began)); sys.exit(code)"
    )
    environment = {"FLEETD_REDIS": "redis://queue.example", "FLEETD_FLEET": "acme"}
    took = tmp_path / "took"
    done = subprocess.run(
        [sys.executable, "-c", program, took], env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    assert float(took.read_text()) < at_most
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert done.stderr.startswith(f"fleetd {call.split(maxsplit=1)[0]}: {said}")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("restart", "the fleet has no live member: nothing was asked for"),
        ("restart --host media-1", "the fleet has no live member"),
        ("pause --host media-1", "the fleet has no live member"),
        ("resume --host media-1", "--host media-1: no live member"),
        ("rollouts 5", "no rollout 5 is known; there was none yet"),
        ("rollouts --halt", "no rollout is running"),
        ("rollouts 5 --resume", "no rollout 5 is known"),
        ("status --fleet media", "media: no such pool or worker; there are no pools"),
    ],
)
def test_nothing_there_is_exit_code_3_and_writes_nothing(fleet: SimulatedFleet, call: str, message: str) -> None:
    done = fleet.run(*call.split(), code=3)
    assert done.stderr.startswith(f"fleetd {call.split(maxsplit=1)[0]}: {message}")
    assert done.stderr.count("\n") == 1
    assert (epochs(fleet), fleet.do(fleet.coordinator.paused())) == ([], frozenset())


def test_targets_that_name_nothing(fleet: SimulatedFleet) -> None:
    fleet.join(*two())
    assert "there are media" in fleet.run("restart", "nope", code=3).stderr
    assert "there are media-1, media-2" in fleet.run("restart", "--host", "media-7", code=3).stderr
    assert "--local" in fleet.run("restart", "media:0", code=2).stderr
    assert epochs(fleet) == []


def test_a_terminal_gets_a_bar_for_each_host(fleet: SimulatedFleet) -> None:
    members = two(Does.SEE, Does.SEE)
    fleet.join(*members)
    environment: Any = fleet.environment(TERM="xterm-256color")
    terminal = pexpect.spawn(
        str(COMMAND), ["restart"], env=environment, dimensions=(24, 100), timeout=30, encoding="utf-8"
    )
    terminal.expect(r"media-1/app.*━.*(asked|waiting)")
    for member in members:
        member.does = Does.ROLL
    terminal.expect(r"media-2/app")
    terminal.expect("2 hosts, 4 workers restarted in")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0


# -- rollouts ----------------------------------------------------------------------------------------------------------


def test_rollouts_as_a_table_in_detail_and_steered(fleet: SimulatedFleet) -> None:
    members = two(Does.FAIL, Does.SEE)
    fleet.join(*members)
    intent = Intent(label=NASTY)  # a client of another kind
    assert fleet.do(fleet.coordinator.request(Request("an id", intent))) is not None
    (epoch,) = epochs(fleet)
    wait_for(lambda: f"{epoch}  halted" in fleet.run("rollouts").stdout, "the rollout to be halted", every=0.3)
    header, line = fleet.run("rollouts").stdout.splitlines()
    assert header.split() == ["EPOCH", "STATE", "WHEN", "HOSTS", "WHO", "LABEL", "SCOPE"]
    assert line.startswith(f"{epoch}  halted  ")
    assert line.endswith(r"v1\x0afake line  all hosts")
    detail = fleet.run("rollouts", str(epoch)).stdout
    assert detail.startswith(f"{epoch}: halted, graceful restart of all hosts, v1")
    assert re.search(r"^media-1/app  halted   0/2 +0s +media:0: exit code 1$", detail, re.MULTILINE)
    assert "\x1b" not in detail
    *_, problems, line = fleet.run("status", "--fleet").stdout.splitlines()
    assert problems == "problems:"
    assert line == f"  rollout {epoch} is halted by media-1/app: `fleetd rollouts {epoch}`"
    assert "  ImportError: no module x\n" in detail
    assert fleet.run("rollouts", "--halt", str(epoch)).stdout.startswith(f"{epoch}: halted")  # so already
    fleet.run("rollouts", "--halt", code=3)
    for member in members:
        member.does = Does.ROLL
    members[0].progress.clear()
    first, *_, last = fleet.run("rollouts", "--resume").stdout.splitlines()
    assert first == f"restart {epoch} of all hosts goes on: 2 hosts"
    assert last.startswith("2 hosts, 4 workers restarted in ")
    assert f"rollout {epoch} is done: nothing was changed" in fleet.run("rollouts", str(epoch), "--halt", code=1).stderr
    document = json.loads(fleet.run("rollouts", "--json").stdout)
    assert (document["fleet"], document["rollouts"][0]["state"]) == (fleet.name, "done")
    assert json.loads(fleet.run("rollouts", str(epoch), "--json").stdout)["epoch"] == epoch
    assert f"the last one is {epoch}" in fleet.run("rollouts", "17", code=3).stderr


# -- status and events -------------------------------------------------------------------------------------------------


def test_status_of_the_fleet(fleet: SimulatedFleet) -> None:
    fleet.join(SimulatedMember("media-1/app", ("media", "mail")), SimulatedMember("media-2/app"))
    title, header, *lines = fleet.run("status", "--fleet").stdout.splitlines()
    assert title == f"fleet {fleet.name}: 2 of 2 members live, epoch none"
    assert header.split() == ["MEMBER", "STATE", "SEEN", "EPOCH", "WORKERS", "POOLS"]
    assert [line.split()[:2] for line in lines] == [["media-1/app", "running"], ["media-2/app", "running"]]
    assert lines[0].endswith("4/4  media 2/2, mail 2/2")
    document = json.loads(fleet.run("status", "--fleet", "--json").stdout)
    assert (document["schema"], document["fleet"], document["epoch"]) == (1, fleet.name, None)
    assert [host["host"] for host in document["hosts"]] == ["media-1", "media-2"]
    assert document["hosts"][0]["last_seen"] > 1.7e9


@pytest.mark.parametrize(
    "call",
    [
        "status --fleet mail --json",
        "status mail --fleet --json",
        "status --fleet --json mail",
        "status --redis {url} --fleet {name} mail --json",
        "status mail --json --fleet {name} --redis {url}",
        "status --fleet={name} --redis={url} --json -- mail",
    ],
)
def test_a_word_behind_fleet_is_a_target_unless_redis_is_given(fleet: SimulatedFleet, call: str) -> None:
    fleet.join(SimulatedMember("media-1/app", ("media", "mail")), SimulatedMember("media-2/app"))
    words = call.format(url=fleet.url, name=fleet.name).split()
    (host,) = json.loads(fleet.run(*words).stdout)["hosts"]
    assert (host["host"], [pool["name"] for pool in host["pools"]]) == ("media-1", ["mail"])


def test_the_live_view_of_the_fleet(fleet: SimulatedFleet) -> None:
    fleet.join(*two())
    environment: Any = fleet.environment(TERM="xterm-256color", NO_COLOR="1")
    live = pexpect.spawn(
        str(COMMAND), ["status", "--fleet", "--watch"], env=environment, dimensions=(24, 100), encoding="utf-8"
    )
    live.expect("2 hosts live", timeout=30)
    fleet.join(SimulatedMember("media-3/app"))
    live.expect("media-3/app", timeout=30)
    live.sendintr()
    live.expect(pexpect.EOF, timeout=30)
    live.close()
    assert live.exitstatus == 130


def event(number: int, **more: Any) -> bytes:
    document = {"id": f"id-{number}", "at": 1_790_000_000.5, "kind": "worker.exited", "host": "media-1"}
    return json.dumps({**document, "instance": "app", "text": f"media:0: {number}", **more}).encode()


def test_events_of_the_fleet_each_once(fleet: SimulatedFleet) -> None:
    member = SimulatedMember("media-1/app", events=[event(1), event(2), event(1), event(3, text=NASTY)])
    fleet.join(member)
    lines = fleet.run("events", "--fleet").stdout.splitlines()
    assert [line.split("media-1/app worker.exited ")[1] for line in lines] == [
        "media:0: 1",
        "media:0: 2",
        r"v1\x0afake line",
    ]
    assert json.loads(fleet.run("events", "--fleet", "--json", "-n", "1").stdout)["id"] == "id-3"
    following = fleet.popen("events", "--fleet", "-f", "--json", "-n", "0")
    assert following.stdout is not None
    number = itertools.count(10)

    def told() -> bool:
        member.events += [event(next(number))] * 2
        return fleet_reads(following)

    wait_for(told, "an event to be told", every=0.3)
    following.send_signal(signal.SIGINT)
    output, _ = following.communicate(timeout=20)
    ids = [json.loads(line)["id"] for line in output.splitlines()]
    assert len(set(ids)) == len(ids)
    assert following.returncode == 130


def fleet_reads(process: subprocess.Popen[str]) -> bool:
    """Whether there is something to read."""
    import select  # noqa: PLC0415

    return bool(select.select([process.stdout], [], [], 0)[0])


# -- pause and resume --------------------------------------------------------------------------------------------------


def test_pause_and_resume_of_a_host(fleet: SimulatedFleet) -> None:
    fleet.join(SimulatedMember("media-1/app", ("media", "mail")), SimulatedMember("media-2/app"))
    assert fleet.run("pause", "--host", "media-1").stdout.splitlines() == [
        "mail on media-1/app: paused",
        "media on media-1/app: paused",
    ]
    assert fleet.do(fleet.coordinator.paused()) == {"host:media-1"}
    states = {line.split()[0]: line.split()[1] for line in fleet.run("status", "--fleet").stdout.splitlines()[2:]}
    assert states == {"media-1/app": "paused", "media-2/app": "running"}
    done = fleet.run("resume", "--host", "media-1", "mail", code=1)
    assert done.stderr == "fleetd resume: mail on media-1/app stays paused: by host:media-1\n"
    fleet.run("resume", "--host", "media-1")
    assert fleet.do(fleet.coordinator.paused()) == frozenset()


def test_pause_of_pools_on_a_host_and_everywhere(fleet: SimulatedFleet) -> None:
    fleet.join(SimulatedMember("media-1/app", ("media", "mail")), SimulatedMember("media-2/app"))
    fleet.run("pause", "--host", "media-1", "ma*")
    assert fleet.do(fleet.coordinator.paused()) == {"host:media-1:pool:mail"}
    del_environment = {"FLEETD_REDIS": "", "FLEETD_FLEET": ""}
    named = ["--redis", fleet.url, "--fleet", fleet.name]
    fleet.run("pause", "media", *named, **del_environment)
    assert fleet.do(fleet.coordinator.paused()) == {"host:media-1:pool:mail", "pool:media"}
    fleet.run("resume", "media", *named, **del_environment)
    fleet.run("resume", "--host", "media-1")
    assert fleet.do(fleet.coordinator.paused()) == frozenset()


def test_pause_that_a_host_does_not_carry_out(fleet: SimulatedFleet) -> None:
    fleet.join(SimulatedMember("media-1/app", obeys_pauses=False))
    done = fleet.run("pause", "--host", "media-1", "--timeout", "3s", code=5)
    assert done.stderr == ("fleetd pause: not finished after 3 s; the work itself goes on: media on media-1/app\n")
    assert fleet.run("pause", "--host", "media-1", "--no-wait").stdout == ""


def test_a_host_that_is_gone_can_be_resumed(fleet: SimulatedFleet) -> None:
    fleet.do(fleet.coordinator.pause(("host:media-9", "host:media-9:pool:mail"), paused=True))
    fleet.run("resume", "--host", "media-9")
    assert fleet.do(fleet.coordinator.paused()) == frozenset()
