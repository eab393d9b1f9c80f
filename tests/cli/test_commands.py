"""Commands against a real daemon: what they print, how they wait, and their exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

import pexpect
import pytest

from fleetd.client.control import ControlClient
from fleetd.errors import UsageError
from tests.support.fleetd_cli import COMMAND, Fleetd
from tests.support.ordinary_user import OrdinaryUsersFleetd
from tests.support.waiting import wait_for
from tests.support.worker_pools import ready_shell

pytestmark = pytest.mark.process

TICKING = {"command": ["sh", "-c", "while :; do echo tick $$; sleep 0.2; done"], "healthy-after": "100ms"}
SLEEPING = {"command": ["sleep", "1000"], "healthy-after": "100ms"}
DEAF = ready_shell("trap '' TERM; echo ready; while :; do sleep 1000; done", stop_timeout="60s")
CRASHING = {"command": ["sh", "-c", "echo no luck; exit 3"], "healthy-after": "30s", "backoff": {"first": "100ms"}}


@pytest.fixture
def running(fleetd: Fleetd) -> Fleetd:
    """A daemon with two workers of `sleep`, and one pool that talks."""
    fleetd.configure({"media": {**SLEEPING, "numprocs": 2}, "talk": TICKING})
    fleetd.start()
    return fleetd


@pytest.fixture(scope="module")
def standing() -> Iterator[Fleetd]:
    """The same, for all tests that leave it as it is."""
    with tempfile.TemporaryDirectory(prefix="fleetd-", dir="/tmp") as directory:
        instance = Fleetd(Path(directory))
        instance.configure({"media": {**SLEEPING, "numprocs": 2}, "talk": TICKING})
        instance.start()
        yield instance
        assert not instance.end()


# -- start and stop ----------------------------------------------------------------------------------------------------


def test_detached_returns_once_all_is_healthy_with_a_plain_line_a_change(fleetd: Fleetd) -> None:
    fleetd.configure({"media": {**SLEEPING, "numprocs": 2}})
    done = fleetd.start()
    assert done.stdout.splitlines()[-1] == "2/2 2 of 2 workers healthy"
    assert [worker["state"] for worker in fleetd.pool("media")["workers"]] == ["running", "running"]


def runs_on(fleetd: Fleetd) -> str:
    """What a start that did not do all it was for says of the daemon."""
    file = fleetd.file
    return f"fleetd start: the daemon runs on: `fleetd status -c {file}` shows it, `fleetd stop -c {file}` ends it"


def test_detached_with_a_pool_that_does_not_come_up_exits_1_and_leaves_the_daemon_running(fleetd: Fleetd) -> None:
    fleetd.configure({"media": SLEEPING, "bad": CRASHING})
    done = fleetd.start(code=1)
    assert "fleetd start: bad:0: exit code 3" in done.stderr
    assert "no luck" in done.stderr
    assert done.stderr.splitlines()[-1] == runs_on(fleetd)
    assert fleetd.status()["state"] == "running"


def test_detached_that_takes_too_long_exits_5_and_leaves_the_daemon_running(fleetd: Fleetd) -> None:
    fleetd.configure({"media": {**SLEEPING, "healthy-after": "50s"}})
    done = fleetd.run("start", "--detach", "--timeout", "1s", code=5)
    late = "fleetd start: not finished after 1 s; the work itself goes on"
    assert done.stderr.splitlines()[-2:] == [late, runs_on(fleetd)]
    assert fleetd.status()["state"] == "running"


def test_a_second_daemon_is_refused(standing: Fleetd) -> None:
    pid = standing.status()["pid"]
    for arguments in (["start"], ["start", "--detach"]):
        done = standing.run(*arguments, code=1)
        assert f"fleetd start: instance 'test' is running already (pid {pid})" in done.stderr


def test_an_invalid_file_is_refused_with_all_that_is_wrong(fleetd: Fleetd) -> None:
    fleetd.configure({"media": {**SLEEPING, "max-jobz": 1, "numprocs": "two"}})
    done = fleetd.run("start", "--detach", code=2)
    assert done.stderr.count("fleetd start: ") == 2
    assert "pool.media.max-jobz: unknown key; did you mean max-jobs?" in done.stderr


def test_what_this_version_does_not_do_is_refused(fleetd: Fleetd) -> None:
    fleetd.configure({"media": {**SLEEPING, "singleton": True}})
    assert "not yet in this version" in fleetd.run("start", "--detach", code=2).stderr


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root's files must be closed to others")
def test_root_runs_no_file_that_others_may_change(fleetd: Fleetd) -> None:
    fleetd.configure({"media": SLEEPING})
    fleetd.file.chmod(0o666)
    assert f"chmod o-w {fleetd.file}" in fleetd.run("start", "--detach", code=2).stderr


def test_a_daemon_that_cannot_start_says_why(fleetd: Fleetd) -> None:
    fleetd.configure({"media": SLEEPING})
    (fleetd.directory / "state").write_text("in the way")
    done = fleetd.run("start", "--detach", code=1)
    assert done.stderr.splitlines()[-1].startswith("fleetd start: ")
    assert str(fleetd.directory / "state") in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_foreground_daemon_drains_and_exits_0(fleetd: Fleetd, number: int) -> None:
    fleetd.configure({"media": SLEEPING})
    daemon = fleetd.popen("start")
    wait_for(lambda: fleetd.run("health", "--ready", code=None).returncode == 0, "the pool to be healthy")
    daemon.send_signal(number)
    output, _ = daemon.communicate(timeout=20)
    assert daemon.returncode == 0, output


def test_stop_without_a_target_returns_when_the_daemon_has_ended(running: Fleetd) -> None:
    pid = running.status()["pid"]
    running.run("stop")
    assert pid not in {process.pid for process in running.processes()}
    assert "no daemon of instance 'test' is running" in running.run("status", code=3).stderr
    running.run("stop", code=3)
    running.start()


def test_stop_and_start_of_workers_that_are_so_already(running: Fleetd) -> None:
    for _ in range(2):
        running.run("stop", "media:0")
        assert [worker["state"] for worker in running.pool("media")["workers"]] == ["stopped", "running"]
    for _ in range(2):
        running.run("start", "media:0")
        assert [worker["state"] for worker in running.pool("media")["workers"]] == ["running", "running"]


def test_waiting_ends_with_its_time(fleetd: Fleetd) -> None:
    fleetd.configure({"deaf": DEAF})
    fleetd.start()
    done = fleetd.run("stop", "deaf", "--timeout", "500ms", code=5)
    assert done.stderr == "fleetd stop: not finished after 0.5 s; the work itself goes on\n"
    assert fleetd.pool("deaf")["workers"][0]["state"] == "stopping"


def test_an_interrupted_wait_exits_130_and_says_that_the_work_goes_on(fleetd: Fleetd) -> None:
    fleetd.configure({"deaf": DEAF})
    fleetd.start()
    waiting = fleetd.popen("stop", "deaf")
    wait_for(lambda: fleetd.pool("deaf")["workers"][0]["state"] == "stopping", "the stop to begin")
    waiting.send_signal(signal.SIGINT)
    output, _ = waiting.communicate(timeout=20)
    assert waiting.returncode == 130
    assert output.endswith("stop: interrupted; the work itself goes on\n")


# -- restart, scale, pause, reload, signal, health ---------------------------------------------------------------------


@pytest.mark.parametrize("label", ["caf\udce9", "x" * 100_000, "a\nb", 7])
def test_the_daemon_takes_no_label_that_it_could_not_tell_of(standing: Fleetd, label: object) -> None:
    daemon = ControlClient("test", standing.directory / "runtime" / "test" / "control.sock")
    with pytest.raises(UsageError, match="--label: write one line of printable text"):
        daemon.call("restart", {"targets": [], "label": label, "wait": False})
    assert standing.events("rollout.started") == []


def test_restart_waits_and_says_how_it_went(running: Fleetd) -> None:
    before = running.pids("media")
    done = running.run("restart", "media", "--label", "v2")
    assert re.search(r"^2 workers restarted in \d+s, longest drain \d+s$", done.stdout, re.MULTILINE)
    assert set(running.pids("media").values()).isdisjoint(before.values())
    document = json.loads(running.run("restart", "--json", "media", "--local").stdout)
    assert (document["state"], document["done"], document["total"]) == ("done", 2, 2)


def test_a_halted_restart_exits_1_and_shows_the_workers_last_lines(fleetd: Fleetd) -> None:
    release = fleetd.directory / "release"
    release.write_text("echo ready; exec sleep 1000")
    fleetd.configure({"media": ready_shell(f"exec sh {quote(str(release))}")})
    fleetd.start()
    release.write_text("echo cannot load module; exit 1")
    done = fleetd.run("restart", code=1)
    assert "fleetd restart: halted: media:0: " in done.stderr
    assert "; 0 of 1 worker restarted, the others go on as they were\n  cannot load module\n" in done.stderr
    done = fleetd.run("restart", "--now", code=1)
    assert "; 0 of 1 worker restarted\n  cannot load module\n" in done.stderr


def test_without_a_fleet_there_is_no_other_host(running: Fleetd) -> None:
    host = running.status()["host"]
    for verb in ("restart", "pause", "resume"):
        done = running.run(verb, "--host", "elsewhere", code=2)
        assert done.stderr == f"fleetd {verb}: --host elsewhere: this host is {host}, and its daemon is in no fleet\n"
    for call in (["rollouts"], ["status", "--fleet"], ["events", "--fleet"]):
        assert ": no fleet: " in running.run(*call, code=2).stderr
    running.run("restart", "--host", host, "media:0")


@pytest.mark.parametrize(("change", "workers"), [("media=3", 3), ("media=+1", 3), ("media=-1", 1), ("media=2", 2)])
def test_scale(running: Fleetd, change: str, workers: int) -> None:
    told = running.run("scale", change).stdout.splitlines()
    assert len(running.pool("media")["workers"]) == workers
    assert told[-1] == f"{workers}/{workers} {workers} of {workers} workers healthy"
    assert (told[0] == "1/1 1 of 1 workers healthy, 1 leaving") == (workers == 1)


NO_SUCH = [
    *("stop nope", "start nope:1", "restart x*", "scale nope=1", "status nope", "logs nope", "pause nope"),
    *("resume nope", "signal USR1 media:7", "health nope"),
]


@pytest.mark.parametrize("call", NO_SUCH)
def test_no_such_target_is_exit_code_3(standing: Fleetd, call: str) -> None:
    name, *rest = call.split()
    done = standing.run(name, *rest, code=3)
    assert done.stderr.startswith(f"fleetd {name}: ")
    assert done.stderr.count("\n") == 1


def test_pause_and_resume(running: Fleetd) -> None:
    running.run("pause", "media")
    assert running.pool("media")["state"] == "paused"
    running.run("resume", "media")
    assert running.pool("media")["state"] == "running"


def test_reload_prints_what_became_of_each_pool(running: Fleetd) -> None:
    running.configure({"media": {**SLEEPING, "numprocs": 3}, "new": SLEEPING, "talk": TICKING})
    expected = {"media: applied live (numprocs)", "new: added", "talk: unchanged"}
    assert set(running.run("reload", "--dry-run").stdout.splitlines()) == expected
    assert len(running.pool("media")["workers"]) == 2
    assert set(running.run("reload").stdout.splitlines()) >= expected
    running.configure({"media": {**SLEEPING, "numprox": 3}})
    done = running.run("reload", code=2)
    assert "pool.media.numprox: unknown key; did you mean numprocs?" in done.stderr
    assert len(running.pool("media")["workers"]) == 3


def test_signal_reaches_the_main_process(running: Fleetd) -> None:
    before = running.pids("media")
    running.run("signal", "SIGKILL", "media:1")
    wait_for(lambda: len(running.pids("media")) == 2 and running.pids("media") != before, "the killed one's successor")
    assert running.pids("media")["media:0"] == before["media:0"]


def test_health(running: Fleetd) -> None:
    assert running.run("health", "--ready").stdout == "healthy\n"
    assert json.loads(running.run("health", "--json").stdout) == {"healthy": True, "reasons": []}
    running.configure({"media": SLEEPING, "talk": TICKING, "bad": CRASHING})
    running.run("reload", code=1)
    assert "bad:0" in running.run("health", "--ready", code=1).stderr


# -- status, logs, events ----------------------------------------------------------------------------------------------


def test_status_is_one_plain_table_when_piped(standing: Fleetd) -> None:
    lines = standing.run("status").stdout.splitlines()
    assert lines[0].split() == ["NAME", "STATE", "PID", "UPTIME", "DONE", "FAILED", "MEMORY", "WHAT"]
    assert [line.split()[:2] for line in lines[1:]] == [
        ["media", "running"],
        ["media:0", "running"],
        ["media:1", "running"],
        ["talk", "running"],
        ["talk:0", "running"],
    ]
    assert "\x1b" not in "".join(lines)
    assert len(standing.run("status", "media:1").stdout.splitlines()) == 3


def test_a_file_that_became_wrong_still_names_its_daemon(running: Fleetd) -> None:
    text = running.file.read_text()
    running.file.write_text(text + "\n[pool.more]\nnonsense = true\n")
    running.run("status")


def test_logs_have_the_workers_name_on_every_line(standing: Fleetd) -> None:
    wait_for(lambda: "tick" in standing.run("logs", "talk").stdout, "a line of output")
    standing.run("logs", "media")
    for line in standing.run("logs", "-n", "3").stdout.splitlines():
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\S+ talk:0 tick \d+", line)
    assert standing.run("logs", "talk", "-n", "0").stdout == ""
    assert "tick" in standing.run("logs", "--since", "1h", "talk").stdout


def test_logs_since_a_moment_begin_with_it(standing: Fleetd) -> None:
    wait_for(lambda: "tick" in standing.run("logs", "talk").stdout, "a line of output")
    old = standing.run("logs", "--since", "1h", "talk").stdout.splitlines()
    called = time.time()
    now = standing.run("logs", "--since", "0s", "talk").stdout.splitlines()
    assert old
    assert not set(old) & set(now)
    assert all(moment_of(line) >= called for line in now), "only what was written while the command ran"
    since = datetime.fromtimestamp(called, UTC).isoformat()
    found = wait_for(
        lambda: standing.run("logs", "--since", since, "talk").stdout, "a line that is written from then on"
    )
    assert all(moment_of(line) >= called for line in found.splitlines())


def moment_of(line: str) -> float:
    return datetime.fromisoformat(line.split(maxsplit=1)[0]).timestamp()


def test_raw_logs_get_the_name_and_have_no_times(fleetd: Fleetd) -> None:
    fleetd.configure({"talk": {**TICKING, "log": {"format": "raw"}}})
    fleetd.start()
    wait_for(lambda: re.match(r"talk:0 tick \d+\n", fleetd.run("logs").stdout), "a line of output")
    assert "--since needs the times" in fleetd.run("logs", "--since", "1m", code=2).stderr


def test_logs_follow_over_rotation_and_new_workers_without_loss(fleetd: Fleetd) -> None:
    counting = "n=0; while :; do n=$((n+1)); echo line $n; sleep 0.01; done"
    pool = {"command": ["sh", "-c", counting], "healthy-after": "100ms", "log": {"max-size": "4KiB", "keep": 20}}
    fleetd.configure({"talk": pool})
    fleetd.start()
    following = fleetd.popen("logs", "-f", "-n", "0")
    assert following.stdout is not None
    seen: dict[str, list[int]] = {"talk:0": [], "talk:1": []}
    for line in following.stdout:
        _, worker, _, number = line.split()
        seen[worker].append(int(number))
        if len(seen["talk:0"]) == 50:
            fleetd.run("scale", "talk=2")
        if len(seen["talk:0"]) > 400 and len(seen["talk:1"]) > 200:
            break
    following.send_signal(signal.SIGINT)
    following.communicate(timeout=20)
    assert following.returncode == 130
    for numbers in seen.values():
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert seen["talk:1"][0] == 1
    fleetd.run("stop", "talk")  # or it is looked for while the files are moved on
    assert (fleetd.log_directory / "talk-0.log.1").exists()


def test_logs_without_a_file_come_from_the_daemon(fleetd: Fleetd) -> None:
    fleetd.configure({"talk": {**TICKING, "log": {"to": "none"}}})
    fleetd.start()
    wait_for(lambda: re.match(r"talk:0 tick \d+\n", fleetd.run("logs").stdout), "a line of output")
    following = fleetd.popen("logs", "-f", "-n", "0")
    assert following.stdout is not None
    assert re.match(r"talk:0 tick \d+\n", following.stdout.readline())
    following.send_signal(signal.SIGINT)
    following.communicate(timeout=20)
    assert following.returncode == 130


def test_events_as_lines_and_as_json(running: Fleetd) -> None:
    running.run("stop", "media:0")
    assert re.search(r"^\S+ \S+ worker.exited media:0: ", running.run("events").stdout, re.MULTILINE)
    assert len(running.run("events", "-n", "1", "--json").stdout.splitlines()) == 1
    (exited,) = running.events("worker.exited")
    assert (exited["pool"], exited["worker"], exited["fields"]["reason"]) == ("media", "media:0", "stop")
    following = running.popen("events", "-f", "--json", "-n", "1")
    assert following.stdout is not None
    assert json.loads(following.stdout.readline()) == running.events()[-1], "from here on it follows"
    running.run("start", "media:0")
    assert json.loads(following.stdout.readline())["worker"] == "media:0"
    following.send_signal(signal.SIGINT)
    following.communicate(timeout=20)
    assert following.returncode == 130


# -- on a terminal -----------------------------------------------------------------------------------------------------


def on_terminal(fleetd: Fleetd, verb: str, *arguments: str, **environment: str) -> pexpect.spawn[str]:
    return pexpect.spawn(
        str(COMMAND),
        [verb, "-c", str(fleetd.file), *arguments],
        env={"PATH": os.environ["PATH"], "TERM": "xterm-256color", **environment},  # type: ignore[arg-type]
        dimensions=(24, 100),
        timeout=30,
        encoding="utf-8",
    )


def test_a_terminal_gets_colour_unless_it_must_not(standing: Fleetd) -> None:
    for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        shown = on_terminal(standing, "status", "--once", **environment)
        text = shown.read()
        assert ("\x1b[32mrunning\x1b[0m" in text) == coloured
        assert f"test on {standing.status()['host']}: running" in text
        shown.close()
        assert shown.exitstatus == 0


def test_the_live_view_follows_and_ends_with_ctrl_c(running: Fleetd) -> None:
    live = on_terminal(running, "status", "--watch", NO_COLOR="1")
    live.expect("3 workers .3")
    running.run("stop", "media:0")
    live.expect(r"3 workers .2\S* .1")
    live.sendintr()
    live.expect(pexpect.EOF)
    live.close()
    assert live.exitstatus == 130


def test_a_terminal_gets_a_progress_bar(running: Fleetd) -> None:
    restart = on_terminal(running, "restart", "media")
    restart.expect("━")
    restart.expect("2 workers restarted in")
    restart.expect(pexpect.EOF)
    restart.close()
    assert restart.exitstatus == 0


# -- who may -----------------------------------------------------------------------------------------------------------


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_another_user_is_not_permitted(running: Fleetd) -> None:
    other = OrdinaryUsersFleetd(running.directory)
    running.directory.chmod(0o755)
    for name in ("status", "stop"):
        done = other.run(name, code=1)
        assert done.stdout == ""
        assert done.stderr.startswith(f"fleetd {name}: not permitted to command instance 'test'")
