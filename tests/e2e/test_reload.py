"""P10: reload says what becomes of each pool, does that and no more, and a bad file changes nothing."""

from __future__ import annotations

import json
import signal

import pytest

from tests.support.fleetd_cli import Fleetd, kill
from tests.support.waiting import stays, wait_for
from tests.support.worker_pools import SLEEPING, failing, ready_shell

pytestmark = pytest.mark.process

BEFORE = dict.fromkeys(("same", "live", "rolled", "removed"), SLEEPING)
AFTER = {
    "same": SLEEPING,
    "live": {**SLEEPING, "numprocs": 2, "stop-timeout": "5s"},
    "rolled": {**SLEEPING, "env": {"RELEASE": "2"}},
    "added": SLEEPING,
}
TOLD = {
    "same: unchanged",
    "live: applied live (numprocs, stop-timeout)",
    "rolled: rolled (env)",
    "added: added",
    "removed: removed",
}


def pids(fleetd: Fleetd) -> dict[str, int]:
    return {w["name"]: w["pid"] for pool in fleetd.status()["pools"] for w in pool["workers"] if w["pid"]}


@pytest.fixture
def running(fleetd: Fleetd) -> Fleetd:
    fleetd.configure(BEFORE)
    fleetd.start()
    return fleetd


def test_dry_run_tells_and_does_nothing(running: Fleetd) -> None:
    before = pids(running)
    running.configure(AFTER)
    assert set(running.run("reload", "--dry-run").stdout.splitlines()) == TOLD
    plan = json.loads(running.run("reload", "--dry-run", "--json").stdout)["pools"]
    assert {pool["name"]: pool["change"] for pool in plan} == {
        "same": "unchanged", "live": "applied live", "rolled": "rolled", "added": "added", "removed": "removed",
    }  # fmt: skip
    assert pids(running) == before


def test_reload_does_what_it_tells(running: Fleetd) -> None:
    before = pids(running)
    running.configure(AFTER)
    assert set(running.run("reload").stdout.splitlines()) >= TOLD
    after = pids(running)
    assert after.keys() == {"same:0", "live:0", "live:1", "rolled:0", "added:0"}
    assert {name for name in before if after.get(name) == before[name]} == {"same:0", "live:0"}
    assert running.run("reload").stdout.count("unchanged") == 4
    assert pids(running) == after


def test_what_becomes_of_other_tables_is_told_too(running: Fleetd) -> None:
    text = running.file.read_text()
    assert "[daemon]\n" in text
    running.file.write_text(
        text.replace("[daemon]\n", '[daemon]\nmetrics-listen = "127.0.0.1:0"\nlog-level = "debug"\n')
    )
    told = {
        "[daemon]: applied live (metrics-listen)",
        "[daemon]: holds from the next start of the daemon on (log-level)",
    }
    assert set(running.run("reload", "--dry-run").stdout.splitlines()) >= told
    assert set(running.run("reload").stdout.splitlines()) >= told
    again = [line for line in running.run("reload").stdout.splitlines() if line.startswith("[")]
    assert again == ["[daemon]: holds from the next start of the daemon on (log-level)"]


@pytest.mark.parametrize("by", ["command", "signal"])
def test_an_invalid_file_changes_nothing_and_every_problem_is_told(running: Fleetd, by: str) -> None:
    before = pids(running)
    running.configure({**AFTER, "bad": {**SLEEPING, "numprox": 1, "max-jobs": "many"}})
    if by == "command":
        for arguments in (["reload"], ["reload", "--dry-run"]):
            said = running.run(*arguments, code=2).stderr
            assert "pool.bad.numprox: unknown key; did you mean numprocs?" in said
            assert "pool.bad.max-jobs" in said
    else:
        kill(running.status()["pid"], signal.SIGHUP)
        wait_for(lambda: "pool.bad.max-jobs" in running.daemon_log(), "the problems in the log")
        assert "pool.bad.numprox: unknown key; did you mean numprocs?" in running.daemon_log()
    stays(lambda: pids(running) == before, "every worker", seconds=0.3)


NO_POOL = "test.toml: there is no pool; add a [pool.NAME] table"


@pytest.mark.parametrize("arguments", [[], ["--dry-run"]], ids=str)
def test_what_check_warns_of_is_told(running: Fleetd, arguments: list[str]) -> None:
    """A file that was emptied by mistake is valid, and takes all pools away."""
    running.configure({})
    done = running.run("reload", *arguments)
    assert set(done.stdout.splitlines()) == {f"{name}: removed" for name in BEFORE}
    warnings = [line for line in done.stderr.splitlines() if line.startswith("fleetd reload: warning: ")]
    assert any(NO_POOL in line for line in warnings), done.stderr
    assert (NO_POOL in running.daemon_log()) is (not arguments), "and is in the log where it was done"
    document = json.loads(running.run("reload", "--dry-run", "--json").stdout)
    assert any(NO_POOL in line for line in document["warnings"])


def test_the_warning_comes_before_the_work_is_done(running: Fleetd) -> None:
    running.configure({"deaf": ready_shell("trap '' TERM; echo ready; while :; do sleep 0.05; done")})
    running.run("reload")
    running.configure({})
    done = running.run("reload", "--timeout", "1s", code=5)
    assert NO_POOL in done.stderr
    assert done.stdout.count("removed") == 0, "the answer comes when all is done"


def test_what_check_warns_of_is_in_the_log_after_sighup(running: Fleetd) -> None:
    running.configure({})
    kill(running.status()["pid"], signal.SIGHUP)
    wait_for(lambda: not pids(running), "all workers to be gone")
    (told,) = [line for line in running.daemon_log().splitlines() if NO_POOL in line]
    assert " warning " in told


def test_what_becomes_of_pools_and_tables_is_in_the_log_after_sighup(running: Fleetd) -> None:
    running.configure(BEFORE, daemon={"metrics-listen": "127.0.0.1:0", "log-level": "debug"})
    kill(running.status()["pid"], signal.SIGHUP)
    wait_for(lambda: "reload: [daemon]: log-level: holds from" in running.daemon_log(), "its last word")
    assert "reload: same: unchanged" in running.daemon_log()
    assert "reload: [daemon]: metrics-listen: applied live" in running.daemon_log()


def test_sighup_reloads(running: Fleetd) -> None:
    before = pids(running)
    running.configure(AFTER)
    kill(running.status()["pid"], signal.SIGHUP)
    wait_for(lambda: pids(running).keys() == {"same:0", "live:0", "live:1", "rolled:0", "added:0"}, "the new pools")
    wait_for(lambda: running.events("rollout.done"), "the rolled pool")
    assert pids(running)["same:0"] == before["same:0"]


def test_a_pool_that_is_removed_and_added_again(running: Fleetd) -> None:
    running.configure({"same": SLEEPING})
    running.run("reload")
    assert pids(running).keys() == {"same:0"}
    running.configure(BEFORE)
    running.run("reload")
    assert pids(running).keys() == {"same:0", "live:0", "rolled:0", "removed:0"}


def test_a_reload_that_rolls_onto_what_does_not_work_is_halted(running: Fleetd) -> None:
    before = pids(running)
    running.configure({**BEFORE, "rolled": failing("echo nope; exit 1")})
    assert "nope" in running.run("reload", code=1).stderr
    assert pids(running) == before
    again = running.run("reload", code=1)  # the file is as it was, and so is what became of it
    assert "rolled: unchanged" in again.stdout
    assert "fleetd reload: halted before, and not tried again: rolled: rolled:0: exited with code 1" in again.stderr
    assert "nope" in again.stderr
    running.configure(BEFORE)
    running.run("reload")


def test_a_pool_that_another_one_halted_is_named_with_what_rolls_it(running: Fleetd) -> None:
    """The other one is mended, and rolled; this one is unchanged, and still on what was before."""
    before = pids(running)
    later = {**BEFORE, "same": {**SLEEPING, "env": {"RELEASE": "2"}}}
    running.configure({**later, "rolled": failing("exit 4")})
    running.run("reload", code=1)
    running.configure({**later, "rolled": {**SLEEPING, "env": {"RELEASE": "3"}}})
    mended = running.run("reload", code=1)
    assert {"rolled: rolled (command, env, healthy-after)", "same: unchanged"} <= set(mended.stdout.splitlines())
    command = f"fleetd restart --local -c {running.file} same"
    assert f"not tried again: same: rolled:0: exited with code 4 (exit); `{command}` goes on" in mended.stderr
    assert pids(running)["same:0"] == before["same:0"]
    running.run("restart", "same")
    assert pids(running)["same:0"] != before["same:0"]
    running.run("reload")


def test_each_cause_for_which_pools_halted_before_is_told(running: Fleetd) -> None:
    running.configure({**BEFORE, "rolled": failing("exit 4")})
    running.run("reload", code=1)
    both = {**BEFORE, "rolled": failing("exit 4"), "same": failing("echo why; exit 5")}
    running.configure(both)
    running.run("reload", code=1)
    told = running.run("reload", code=1).stderr
    assert "not tried again: rolled: rolled:0: exited with code 4 (exit);" in told
    assert "not tried again: same: same:0: exited with code 5 (exit);" in told
    assert "  why\n" in told


DRAINS = "trap 'until [ -e {go} ]; do sleep 0.02; done; exit 0' TERM; echo ready; while :; do sleep 0.02; done"


@pytest.fixture
def draining(running: Fleetd) -> Fleetd:
    """One with a pool `slow`, whose worker drains until there is a file `go`."""
    running.configure({"slow": ready_shell(DRAINS.format(go=running.directory / "go"), stop_timeout="60s")})
    running.run("reload")
    return running


def test_a_reload_ends_when_what_it_removed_is_back(draining: Fleetd) -> None:
    text = draining.file.read_text()
    draining.configure({})
    first = draining.popen("reload")
    wait_for(lambda: NO_POOL in draining.daemon_log(), "the removal")
    draining.file.write_text(text)
    back = draining.popen("reload")
    assert first.wait(20) == 0
    (draining.directory / "go").touch()
    assert back.wait(20) == 0
    assert draining.pids("slow").keys() == {"slow:0"}
