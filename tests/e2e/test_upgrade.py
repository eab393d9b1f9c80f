"""P3: `fleetd upgrade` replaces the daemon by what is installed, in the same process; no worker notices."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleetd.client.control import ControlClient
from fleetd.errors import FleetdError
from tests.e2e.test_takeover import COUNTING, JOBS, numbers_in
from tests.support.crash import identities, keeper_of
from tests.support.fleetd_cli import Fleetd, kill
from tests.support.installed import Installed, InstalledFleetd
from tests.support.ports import free_port
from tests.support.process_world import alive
from tests.support.service_manager import ServiceManager
from tests.support.waiting import samples, wait_for
from tests.support.webhook_receiver import receiver
from tests.support.worker_pools import SLEEPING, python, ready_shell, shell, stubborn

pytestmark = pytest.mark.process

ROUNDS = int(os.environ.get("UPGRADE_ROUNDS", "5"))


@pytest.fixture
def installed(short_path: Path) -> Iterator[InstalledFleetd]:
    """An instance of version 0.1.0 that is installed for the test alone."""
    instance = InstalledFleetd(short_path, installed=Installed(short_path / "installed"))
    assert instance.installed is not None
    instance.installed.folder.mkdir()
    instance.installed.install("0.1.0")
    yield instance
    left = instance.end()
    assert not left, f"left after `fleetd stop --now`: {left}"


def daemon_of(fleetd: Fleetd) -> tuple[int, float, str]:
    status = fleetd.status()
    return status["pid"], status["started_at"], status["version"]


def is_checked(fleetd: Fleetd) -> bool:
    """Whether the installed version checks itself."""
    return any("self-check" in " ".join(process.info["cmdline"]) for process in fleetd.processes())


def begin_upgrade(fleetd: Fleetd) -> subprocess.Popen[str]:
    """One in the middle of its check; one that was over before anybody looked is followed by another."""
    while True:
        upgrade = fleetd.popen("upgrade")
        wait_for(lambda: is_checked(fleetd) or upgrade.poll() is not None, "the check", every=0.005)  # noqa: B023
        if upgrade.poll() is None:
            return upgrade
        assert upgrade.returncode == 0


def open_descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


# -- no worker notices -------------------------------------------------------------------------------------------------


@contextmanager
def beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Does some work in a thread, which ends when the event is set, and shows its failure."""
    stop, failures = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            work(stop)
        except BaseException as failure:  # noqa: BLE001
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
    assert not failures, failures


@pytest.mark.timeout(1200)
def test_every_line_and_every_job_once_and_every_client_answered(fleetd: Fleetd) -> None:
    raw = shell(COUNTING, log={"format": "raw"}, numprocs=2)
    fleetd.configure({"raw": raw, "prefix": {**raw, "log": {"format": "prefix"}},
                      "jobs": python(JOBS, str(fleetd.directory), numprocs=2)})  # fmt: skip
    fleetd.start()
    pools = ("raw", "prefix", "jobs")
    pids, keeper, daemon = {pool: fleetd.pids(pool) for pool in pools}, keeper_of(fleetd), daemon_of(fleetd)
    socket = fleetd.directory / "runtime" / "test" / "control.sock"
    lock, inode = socket.with_name("lock"), socket.stat().st_ino
    gaps, took = [0.0], []

    def ask(stop: threading.Event) -> None:
        client = ControlClient("test", socket)
        while not stop.wait(0.005):
            began = time.monotonic()
            assert client.call("ping", timeout=60)["pid"] == daemon[0]
            gaps.append(time.monotonic() - began)

    def grab(stop: threading.Event) -> None:
        while not stop.wait(0.005):
            with lock.open() as file, pytest.raises(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    descriptors = open_descriptors(daemon[0])
    with beside(ask), beside(grab):
        for _ in range(ROUNDS):
            began = time.monotonic()
            said = fleetd.run("upgrade").stdout.splitlines()[-1]
            took.append(time.monotonic() - began)
            assert re.fullmatch(rf"upgraded (\S+) -> \1 \(pid {daemon[0]}\); .*started anew", said)
    print(f"{ROUNDS} upgrades: {sorted(took)[len(took) // 2]:.2f} s median, {max(took):.2f} s at most; "
          f"longest time without an answer {max(gaps):.2f} s, {len(gaps)} answers")  # fmt: skip
    now = daemon_of(fleetd)
    assert now[0] == daemon[0]
    assert now[1] != daemon[1], "another start"
    assert {pool: fleetd.pids(pool) for pool in pools} == pids
    assert keeper_of(fleetd) == keeper
    assert socket.stat().st_ino == inode
    wait_for(lambda: open_descriptors(daemon[0]) <= descriptors + 2, f"no more than {descriptors} descriptors")
    fleetd.run("stop", *pools, timeout=60)
    for slot in (0, 1):
        for pool in ("raw", "prefix"):
            found = numbers_in(fleetd.log_directory / f"{pool}-{slot}.log")
            assert found == list(range(1, len(found) + 1)), f"{pool}: each line once, in order"
            assert len(found) > 200
    counted = sum((fleetd.directory / f"jobs-{slot}").stat().st_size for slot in (0, 1))
    jobs = fleetd.pool("jobs")["jobs"]
    assert (jobs["done"], jobs["failed"]) == (counted, 0)
    assert counted > 200


def test_what_operators_asked_for_and_what_is_in_hand_is_kept(installed: InstalledFleetd) -> None:
    assert installed.installed is not None
    hold = python(
        "import os, time\nfrom fleetd import worker\n"
        "with worker.job('long', id='job-7'):\n while not os.path.exists('leave'): time.sleep(0.02)\n"
        "worker.flush(30)\ntime.sleep(1000)",
        directory=str(installed.directory),
    )
    installed.configure({"media": {**SLEEPING, "numprocs": 2}, "halted": SLEEPING, "busy": hold})
    installed.start()
    installed.run("stop", "halted")
    installed.run("scale", "media=3")
    wait_for(lambda: installed.pool("busy")["workers"][0]["job"], "the job in hand")
    pids, (pid, *_), job = installed.pids("media"), daemon_of(installed), installed.pool("busy")["workers"][0]["job"]
    environment = dict(os.environ)
    installed.installed.install("0.20.0")
    assert installed.run("upgrade").stdout.splitlines()[-1] == f"upgraded 0.1.0 -> 0.20.0 (pid {pid})"
    assert daemon_of(installed)[::2] == (pid, "0.20.0")
    assert installed.pids("media") == pids
    assert (installed.pool("media")["numprocs"], installed.pool("halted")["state"]) == (3, "stopped")
    assert installed.pool("busy")["workers"][0]["job"] == job
    (installed.directory / "leave").touch()
    wait_for(lambda: installed.pool("busy")["jobs"]["done"] == 1, "the job to be counted")
    (started,) = installed.events("daemon.started")
    assert (started["fields"]["replaced"], started["fields"]["version"]) == ("0.1.0", "0.20.0")
    installed.run("restart", "media:0")
    born = Path(f"/proc/{installed.pids('media')['media:0']}/environ").read_bytes()
    assert b"FLEETD_HANDOVER" not in born, "workers see nothing of it"
    assert dict(os.environ) == environment
    installed.installed.install("0.3.0")
    done = json.loads(installed.run("upgrade", "--json").stdout)
    assert done == {"from": "0.20.0", "to": "0.3.0", "pid": pid}


def test_a_daemon_needs_nothing_that_is_installed_once_it_runs(installed: InstalledFleetd) -> None:
    """What replaces its files may be a version that it does not go on with."""
    assert installed.installed is not None
    directory, port = installed.directory, free_port()
    dies = shell("[ -e broken ] && exit 1; exec sleep 1000", directory=str(directory), backoff={"first": "50ms"})
    metrics = f"127.0.0.1:{port}"
    with receiver() as chat:
        alerts = [{"on": "crash-loop", "command": ["touch", f"{directory}/told"]}]
        alerts.append({"on": "crash-loop", "webhook": chat.url})
        installed.configure({"media": dies}, alert=alerts, daemon={"metrics-listen": metrics})  # type: ignore[arg-type]
        installed.start()
        shutil.rmtree(installed.installed.package)
        (directory / "broken").touch()
        kill(installed.pids("media")["media:0"])
        wait_for((directory / "told").exists, "the command to be run")
        chat.told(1)
    with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=10) as answer:
        assert b"fleetd_workers" in answer.read()
    assert "internal error" not in installed.daemon_log()
    installed.installed.install("0.1.0")


def test_to_the_service_manager_it_reloads(fleetd: Fleetd) -> None:
    fleetd.configure({"media": SLEEPING})
    with ServiceManager(fleetd.directory / "manager.sock") as manager:
        fleetd.environment["NOTIFY_SOCKET"] = str(manager.path)
        fleetd.start()
        pid, *_ = daemon_of(fleetd)
        fleetd.run("upgrade")
        wait_for(lambda: manager.states() == ["READY", "RELOADING", "READY"], "what an upgrade is")
        assert {message.pid for message in manager.messages} == {pid}


# -- an installed version that is broken -------------------------------------------------------------------------------


def remove_a_module(installed: Installed) -> None:
    (installed.package / "shell" / "output.py").unlink()


def remove_what_starts_it(installed: Installed) -> None:
    (installed.package / "cli" / "launch.py").unlink()


def break_what_a_unit_needs(installed: Installed) -> None:
    (installed.package / "systemd" / "stop_time.py").write_text("import nothing_like_it\n")


def remove_what_a_command_asks_by(installed: Installed) -> None:
    (installed.package / "client" / "control.py").unlink()


def break_the_syntax(installed: Installed) -> None:
    (installed.package / "cli" / "main.py").write_text("def main(:\n")


def remove_the_command(installed: Installed) -> None:
    installed.command.unlink()


def crash(installed: Installed) -> None:
    installed.launch_by("import os; os.kill(os.getpid(), 9)")


def hang(installed: Installed) -> None:
    installed.launch_by("import subprocess, time; subprocess.Popen(['sleep', '1000']); time.sleep(1000)")


def flood(installed: Installed) -> None:
    installed.launch_by("while True: print('x' * 100_000, flush=True)")


def babble(installed: Installed) -> None:
    installed.launch_by("print('hello'); sys.exit(0)")


def speak_otherwise(installed: Installed) -> None:
    installed.change("keeper/__init__.py", r"^PROTOCOL = \d+", "PROTOCOL = 99")


def read_older_state_only(installed: Installed) -> None:
    installed.change("shell/memory.py", r"^SCHEMA = \d+", "SCHEMA = 0")


def read_older_journals_only(installed: Installed) -> None:
    installed.change("shell/journal.py", r"^VERSION = \d+", "VERSION = 1")


def want_more_of_a_record(installed: Installed) -> None:
    installed.change(
        "core/records.py", r"^    generation: int\n    started_at", "    new: int\n    generation: int\n    started_at"
    )


@pytest.mark.parametrize(
    ("breaks", "why"),
    [
        (remove_a_module, "No module named 'fleetd.shell.output'"),
        (remove_what_starts_it, "No module named 'fleetd.cli.launch'"),
        (remove_what_a_command_asks_by, "No module named 'fleetd.client.control'"),
        (break_what_a_unit_needs, "No module named 'nothing_like_it'"),
        (break_the_syntax, "SyntaxError: "),
        (remove_the_command, "No such file or directory"),
        (crash, "it was ended by SIGKILL"),
        (hang, "it did not end within 1 s"),
        (flood, "it did not end within 1 s"),
        (babble, "what it says makes no sense"),
        (speak_otherwise, "fleetd 0.20.0 does not speak protocol"),
        (read_older_state_only, "state.json: written by another version of fleetd (schema"),
        (read_older_journals_only, "runs.journal: written by a newer fleetd (format"),
        (want_more_of_a_record, " is not understood by this version: Object missing required field `new`"),
    ],
)
def test_one_that_fails_its_self_check_changes_nothing(
    installed: InstalledFleetd, breaks: Callable[[Installed], None], why: str
) -> None:
    copy = installed.installed
    assert copy is not None
    if breaks in {hang, flood}:
        copy.change("shell/self_check.py", r"^SECONDS = 30.0", "SECONDS = 1.0")
    installed.configure({"media": SLEEPING})
    installed.start()
    before, pids = daemon_of(installed), installed.pids("media")
    client = ControlClient("test", installed.directory / "runtime" / "test" / "control.sock")
    copy.install("0.20.0")
    breaks(copy)
    with pytest.raises(Exception, match=r"^the installed version cannot take over, and fleetd 0.1.0 goes on: ") as told:
        client.call("upgrade", timeout=60)
    assert why in str(told.value)
    assert "\n" not in str(told.value)
    copy.install("0.1.0")
    assert daemon_of(installed) == before
    assert installed.pids("media") == pids
    wait_for(lambda: len(installed.processes()) == 3, "daemon, keeper and worker alone")
    assert "internal error" not in installed.daemon_log()


def test_pool_files_that_are_wrong_or_moved_elsewhere_are_told_before(fleetd: Fleetd) -> None:
    fleetd.configure({"media": SLEEPING})
    fleetd.start()
    before, good = daemon_of(fleetd), fleetd.file.read_text()
    fleetd.file.write_text(good.replace("[pool.media]", '[pool.media]\nnumprocs = "many"'))
    assert "numprocs" in fleetd.run("upgrade", code=1).stderr
    elsewhere = good.replace(str(fleetd.directory / "runtime"), str(fleetd.directory / "elsewhere"))
    fleetd.file.write_text(elsewhere)
    socket = fleetd.directory / "runtime" / "test" / "control.sock"
    with pytest.raises(Exception, match="the pool files name another runtime-directory"):
        ControlClient("test", socket).call("upgrade", timeout=60)
    fleetd.file.write_text(good)
    assert daemon_of(fleetd) == before


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ('[daemon]\nsocket-group = "nosuchgroup"\n', "socket-group: this host has no group 'nosuchgroup'"),
        ('[fleet]\nname = "f"\nredis = "redis://127.0.0.1:1"\n', "[fleet] host: this host's name 'no_good!' cannot"),
    ],
)
def test_what_only_a_start_would_refuse_is_told_before(installed: InstalledFleetd, table: str, why: str) -> None:
    assert installed.installed is not None
    installed.configure({"media": SLEEPING})
    installed.start()
    before, good = daemon_of(installed), installed.file.read_text()
    installed.file.write_text(table + good.replace("[daemon]\n", "") if "[daemon]" in table else table + good)
    installed.installed.launch_by("import socket; socket.gethostname = lambda: 'no_good!'")
    client = ControlClient("test", installed.directory / "runtime" / "test" / "control.sock")
    with pytest.raises(FleetdError, match=r"^the installed version cannot take over") as told:
        client.call("upgrade", timeout=60)
    installed.file.write_text(good)
    installed.installed.launch_by("")
    assert why in str(told.value)
    assert daemon_of(installed) == before


def test_one_that_dies_after_the_exec_is_recovered_by_the_next_start(installed: InstalledFleetd) -> None:
    copy = installed.installed
    assert copy is not None
    installed.configure({"media": {**SLEEPING, "numprocs": 2}})
    installed.start()
    pids, (pid, *_) = installed.pids("media"), daemon_of(installed)
    workers = identities(list(pids.values()))
    copy.install("0.20.0")
    copy.launch_by("import os\nif 'FLEETD_HANDOVER' in os.environ: sys.exit('no good: \\x1b[31mbroken')")
    said = installed.run("upgrade", code=1).stderr
    assert "fleetd upgrade: the daemon ended while it was replaced; its workers go on under the keeper: run" in said
    assert said.splitlines()[0].endswith(f"run `fleetd start -c {installed.file}`, unless a service manager does so")
    assert "no good: " in said
    assert "\x1b" not in said
    wait_for(lambda: not alive(pid), "the process to be gone, whose end was told")
    assert identities(list(pids.values())) == workers
    copy.install("0.3.0")
    installed.start()
    assert installed.pids("media") == pids
    assert daemon_of(installed)[2] == "0.3.0"


# -- who waits meanwhile -----------------------------------------------------------------------------------------------


# The first workers hold on to their job until there is a file `leave`; later ones end when told.
HOLDING = """
[ -e restarted ] && echo ready && exec sleep 1000
trap 'until [ -e leave ]; do sleep 0.02; done; exit 0' TERM
echo ready
while :; do sleep 0.02; done
"""


@pytest.mark.parametrize("after", [0.0, 0.4, 0.8])
def test_a_restart_that_is_waited_for_is_one_restart(fleetd: Fleetd, after: float) -> None:
    """Asked for at any instant of an upgrade, and rolling during another one."""
    fleetd.configure({"media": ready_shell(HOLDING, directory=str(fleetd.directory), numprocs=3, stop_timeout="60s")})
    fleetd.start()
    (fleetd.directory / "restarted").touch()
    old = set(fleetd.pids("media").values())
    upgrade = fleetd.popen("upgrade")
    for _ in samples(seconds=after, every=0.1):
        pass
    waiting = fleetd.popen("restart", "--json")
    assert upgrade.communicate(timeout=60)
    fleetd.run("upgrade")
    wait_for(lambda: not old & set(fleetd.pids("media").values()), "all to be rolled")
    fleetd.run("upgrade")
    assert waiting.poll() is None, "the old ones are still there"
    (fleetd.directory / "leave").touch()
    done = json.loads(waiting.communicate(timeout=30)[0])
    assert (waiting.returncode, done["state"], done["done"], done["total"]) == (0, "done", 3, 3)
    assert (
        len(
            re.findall(
                r"rollout started: 3 slot\(s\)$", (fleetd.log_directory / "fleetd.log").read_text(), re.MULTILINE
            )
        )
        == 1
    )
    assert not identities(list(old))


def test_a_restart_that_fails_under_the_next_daemon_says_why(fleetd: Fleetd) -> None:
    script = "if [ ! -e broken ]; then touch works; exec sleep 1000; fi; "
    script += "until [ -e fail ]; do sleep 0.02; done; echo out of luck; exit 3"
    fleetd.configure(
        {"media": shell(script, directory=str(fleetd.directory), healthy_after="20s", start_timeout="60s")}
    )
    fleetd.run("start", "--detach", "--no-wait")
    wait_for(lambda: fleetd.pool("media")["workers"][0]["pid"], "the worker")
    fleetd.file.write_text(fleetd.file.read_text().replace('"20s"', '"100ms"'))
    fleetd.run("reload")
    wait_for(lambda: fleetd.pids("media"), "it to be healthy")
    fleetd.file.write_text(fleetd.file.read_text().replace('"100ms"', '"20s"'))
    fleetd.run("reload")
    wait_for((fleetd.directory / "works").exists, "the worker to have looked")
    (fleetd.directory / "broken").touch()
    waiting = fleetd.popen("restart")
    wait_for(lambda: len(fleetd.pool("media")["workers"]) == 2, "the replacement")
    fleetd.run("upgrade", "--timeout", "3s", code=None)
    (fleetd.directory / "fail").touch()
    said, _ = waiting.communicate(timeout=30)
    assert waiting.returncode == 1, said
    assert "out of luck" in said


def test_stops_starts_scaling_and_reloads_that_are_waited_for_end_well(fleetd: Fleetd, let_go: Path) -> None:
    slow = {**shell("sleep 1; echo up; exec sleep 1000"), "ready": "age", "healthy-after": "4s"}
    fleetd.configure(
        {
            "media": stubborn(str(let_go), numprocs=2),
            "more": {**SLEEPING, "numprocs": 1},
            "late": {**slow, "autostart": False},
        }
    )
    fleetd.start()
    stop = fleetd.popen("stop", "media")
    wait_for(lambda: not fleetd.pids("media"), "the drain to begin")
    start = fleetd.popen("start", "late")
    scale = fleetd.popen("scale", "more=+2")
    wait_for(lambda: len(fleetd.pids("more")) == 3, "the scaling")
    wait_for(lambda: fleetd.pool("late")["workers"][0]["pid"], "the start to begin")
    began = fleetd.status()["started_at"]
    upgrade = fleetd.popen("upgrade")
    wait_for(lambda: fleetd.status()["started_at"] != began, "the next daemon")
    fleetd.configure({"media": stubborn(str(let_go), numprocs=2), "more": {**SLEEPING, "numprocs": 1},
                      "late": {**slow, "autostart": False}, "added": slow})  # fmt: skip
    reload = fleetd.popen("reload")
    wait_for(lambda: any(pool["name"] == "added" for pool in fleetd.status()["pools"]), "the reload to begin")
    began = fleetd.status()["started_at"]
    assert upgrade.communicate(timeout=30)
    assert upgrade.returncode == 0
    again = fleetd.popen("upgrade")
    wait_for(lambda: fleetd.status()["started_at"] != began, "the daemon after that")
    assert stop.poll() is None
    (let_go / "leave").touch()
    for command in (stop, start, scale, again, reload):
        said, _ = command.communicate(timeout=30)
        assert command.returncode == 0, said
    assert fleetd.pool("media")["state"] == "stopped"
    assert len(fleetd.pids("more")) == 3, "scaled once"
    assert "added: added" in said


def numbers_in_text(text: str) -> list[int]:
    return [int(n) for n in re.findall(r"talk:0 line (\d+)\n", text)]


def read_until(stream: subprocess.Popen[str], holds: Callable[[str], object]) -> str:
    """What it has said, once that holds."""
    assert stream.stdout is not None
    said = ""
    while not holds(said):
        line = stream.stdout.readline()
        assert line, f"it has ended: {said}"
        said += line
    return said


def test_streams_go_on_without_gap_or_repetition(fleetd: Fleetd) -> None:
    fleetd.configure({"talk": shell(COUNTING.replace("0.002", "0.05"), log={"to": "none"}), "media": SLEEPING})
    fleetd.start()
    events, lines = fleetd.popen("events", "-f", "--json"), fleetd.popen("logs", "-f", "talk", "-n", "0")
    fleetd.run("restart", "media")
    for _ in range(3):
        fleetd.run("upgrade")
    fleetd.run("restart", "media")
    (now,) = wait_for(lambda: numbers_in_text(fleetd.run("logs", "talk", "-n", "1").stdout), "a line")
    followed = read_until(lines, lambda said: len(found := numbers_in_text(said)) > 45 and found[-1] > now)
    happened = read_until(events, lambda said: said.count('"kind": "rollout.done"') == 2)
    for stream in (events, lines):
        assert stream.poll() is None
        stream.send_signal(signal.SIGINT)
    assert events.stdout is not None
    assert lines.stdout is not None
    told = [json.loads(line) for line in (happened + events.stdout.read()).splitlines() if line.startswith("{")]
    kinds = [event["kind"] for event in told]
    assert [kinds.count(kind) for kind in ("daemon.started", "rollout.started", "rollout.done")] == [4, 2, 2]
    assert kinds.count("worker.adopted") == 6
    assert sorted(told, key=lambda event: event["at"]) == told
    numbers = numbers_in_text(followed + lines.stdout.read())
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


# -- signals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("round_", range(3))
def test_a_term_at_any_instant_ends_the_daemon_in_good_order(fleetd: Fleetd, round_: int) -> None:
    fleetd.configure({"media": {**SLEEPING, "numprocs": 2}})
    daemon = fleetd.popen("start")
    wait_for(lambda: fleetd.run("status", code=None).returncode == 0 and len(fleetd.pids("media")) == 2, "the start")
    pid = fleetd.status()["pid"]
    upgrade = fleetd.popen("upgrade")
    for _ in samples(seconds=0.4 * (1 + round_), every=0.01):
        pass
    kill(pid, signal.SIGTERM)
    said, _ = daemon.communicate(timeout=30)
    assert daemon.returncode == 0, said
    assert "Traceback" not in said
    upgrade.communicate(timeout=30)
    fleetd.leaves_nothing()


def test_a_term_behind_a_long_inbox_calls_the_upgrade_off(installed: InstalledFleetd) -> None:
    """With one event a turn, the TERM that came before is still to be decided about when no request is begun."""
    copy = installed.installed
    assert copy is not None
    copy.change("shell/daemon.py", r"^EVENTS_A_TURN = \d+", "EVENTS_A_TURN = 1")
    before = "for _ in range(1000): self._daemon.post(Tick())\n        os.kill(os.getpid(), signal.SIGTERM)"
    copy.change("shell/upgrading.py", r"^        mask = handover", f"        {before}\n        mask = handover")
    copy.change(
        "shell/upgrading.py", r"^import signal$", "import os\nimport signal\nfrom fleetd.core.events import Tick"
    )
    installed.configure({"media": SLEEPING})
    daemon = installed.popen("start")
    wait_for(
        lambda: installed.run("status", code=None).returncode == 0 and len(installed.pids("media")) == 1, "the start"
    )
    assert "told to stop meanwhile: it was not replaced" in installed.run("upgrade", code=1).stderr
    said, _ = daemon.communicate(timeout=30)
    assert daemon.returncode == 0, said
    assert "takes over" not in said
    wait_for(lambda: not installed.processes(), "everything to be gone")


def test_other_signals_at_every_instant_kill_nobody_and_a_removed_socket_comes_back(fleetd: Fleetd) -> None:
    fleetd.configure({"media": SLEEPING})
    fleetd.start()
    pids, (pid, *_) = fleetd.pids("media"), daemon_of(fleetd)
    socket = fleetd.directory / "runtime" / "test" / "control.sock"

    def disturb(stop: threading.Event) -> None:
        while not stop.wait(0.002):
            for number in (signal.SIGUSR1, signal.SIGIO, signal.SIGCHLD):
                assert kill(pid, number)

    def reload(stop: threading.Event) -> None:
        while not stop.wait(0.3):
            assert kill(pid, signal.SIGHUP)

    with beside(disturb), beside(reload):
        for _ in range(2):
            fleetd.run("upgrade")
        upgrade = begin_upgrade(fleetd)
        for _ in samples(seconds=0.7, every=0.05):
            socket.unlink(missing_ok=True)
        said, _ = upgrade.communicate(timeout=30)
        assert upgrade.returncode == 0, said
    wait_for(socket.exists, "the socket")
    assert daemon_of(fleetd)[0] == pid
    assert fleetd.pids("media") == pids


def test_a_stop_during_the_self_check_leaves_nothing_of_it(installed: InstalledFleetd) -> None:
    assert installed.installed is not None
    installed.configure({"media": SLEEPING})
    installed.start()
    checking = installed.directory / "checking"
    installed.installed.launch_by(f"import time; open({str(checking)!r}, 'w'); time.sleep(1000)")
    client = ControlClient("test", installed.directory / "runtime" / "test" / "control.sock")

    def upgrade(_stop: threading.Event) -> None:
        with pytest.raises(FleetdError, match="told to stop meanwhile"):
            client.call("upgrade", timeout=60)

    with beside(upgrade):
        wait_for(checking.exists, "the check")
        installed.installed.launch_by("")
        installed.run("stop")
    wait_for(lambda: not installed.processes(), "everything to be gone")


def test_a_daemon_that_is_stopping_is_not_replaced(fleetd: Fleetd, let_go: Path) -> None:
    fleetd.configure({"media": stubborn(str(let_go))})
    fleetd.start()
    stop = fleetd.popen("stop")
    wait_for(lambda: fleetd.status()["state"] == "stopping", "the drain to begin")
    assert "the daemon is stopping: it is not replaced" in fleetd.run("upgrade", code=1).stderr
    (let_go / "leave").touch()
    stop.communicate(timeout=30)
    assert stop.returncode == 0


def hold_check(installed: InstalledFleetd) -> Path:
    """The installed version's check goes on until there is a file, which is not there yet."""
    assert installed.installed is not None
    go_on = installed.directory / "go-on"
    waits = f"while 'self-check' in sys.argv and not os.path.exists({str(go_on)!r}): time.sleep(0.02)"
    installed.installed.launch_by(f"import os, time\n{waits}")
    return go_on


def test_a_requester_that_goes_away_stops_nothing_and_a_second_one_is_told(installed: InstalledFleetd) -> None:
    installed.configure({"media": SLEEPING})
    installed.start()
    began = installed.status()["started_at"]
    go_on = hold_check(installed)
    first = installed.popen("upgrade")
    wait_for(lambda: is_checked(installed), "the check")
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=30)
    assert first.returncode == 130
    assert "being replaced already" in installed.run("upgrade", code=1).stderr
    go_on.touch()
    wait_for(lambda: installed.status()["started_at"] != began, "the upgrade")


def test_a_time_to_wait_that_runs_out_is_5_and_the_upgrade_goes_on(installed: InstalledFleetd) -> None:
    installed.configure({"media": SLEEPING})
    installed.start()
    began = installed.status()["started_at"]
    go_on = hold_check(installed)
    assert "the work itself goes on" in installed.run("upgrade", "--timeout", "50ms", code=5).stderr
    go_on.touch()
    wait_for(lambda: installed.status()["started_at"] != began, "the upgrade")
