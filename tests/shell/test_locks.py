"""One daemon of an instance, wherever each would have its sockets."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetd.errors import FleetdError
from fleetd.shell import locks, paths
from fleetd.shell.journal import boot_id
from fleetd.shell.locks import Locks
from fleetd.shell.paths import Instance


@pytest.fixture
def places(short_path: Path) -> Instance:
    return placed(short_path, "runtime")


def placed(short_path: Path, runtime: str) -> Instance:
    """The instance with its sockets in a directory of this name, and its state where it always is."""
    found = Instance(
        "media", short_path / runtime / "media", short_path / "state" / "media", short_path / "log" / "media"
    )
    paths.prepare(found)
    return found


@pytest.fixture
def held(places: Instance) -> Iterator[Locks]:
    """Those of a daemon that runs."""
    found = locks.take(places)
    yield found
    found.close()


def refusal(places: Instance) -> str:
    with pytest.raises(FleetdError) as raised:
        locks.take(places).close()
    assert raised.value.exit_code == 1
    return str(raised.value)


def test_a_second_daemon_is_told_the_pid_of_the_first(places: Instance) -> None:
    first = locks.take(places)
    places.control.touch()
    assert f"instance 'media' is running already (pid {os.getpid()}); stop it first" in refusal(places)
    first.close()
    locks.take(places).close()


def test_one_with_its_sockets_elsewhere_is_told_where_the_first_has_them(
    places: Instance, held: Locks, short_path: Path
) -> None:
    places.control.touch()
    told = refusal(placed(short_path, "other"))
    assert f"running already (pid {os.getpid()}), with its sockets in {places.runtime}; stop it first" in told


def test_one_whose_sockets_were_removed_is_ended_by_its_pid(places: Instance, held: Locks, short_path: Path) -> None:
    (places.runtime / "lock").unlink()
    told = f"its sockets in {places.runtime} were removed, and then `kill {os.getpid()}` drains it"
    assert told in refusal(places)
    held.take_again(places)
    assert (places.runtime / "lock").read_text() == f"{os.getpid()}\n"


def died(places: Instance) -> None:
    """A daemon was killed, and its workers may live."""
    locks.take(places).close()
    places.journal.touch()


def test_workers_of_a_killed_daemon_are_not_doubled_from_elsewhere(places: Instance, short_path: Path) -> None:
    died(places)
    other = placed(short_path, "other")
    assert f"name {places.runtime.parent} as runtime-directory in [daemon]" in refusal(other)
    locks.take(places).close()
    places.journal.unlink()
    locks.take(other).close()


def test_none_lives_after_another_boot(places: Instance, short_path: Path) -> None:
    died(places)
    text = places.state_lock.read_text()
    places.state_lock.write_text(text.replace(boot_id(), "another"))
    locks.take(placed(short_path, "other")).close()


def test_one_in_another_container_is_not_to_be_ended_by_its_pid(places: Instance, held: Locks) -> None:
    text = places.state_lock.read_text()
    places.state_lock.write_text(text.replace(boot_id(), "another"))
    assert refusal(places).endswith(f"running already, in another container: its state is in {places.state}")


def test_a_lock_that_cannot_be_written_is_taken_all_the_same(places: Instance) -> None:
    """As on a disk that takes nothing any more; here: by a program that runs, so that root cannot write it either."""
    shutil.copy2(shutil.which("sleep") or "", places.state_lock)
    with subprocess.Popen([places.state_lock, "1000"]) as running:
        with pytest.raises(OSError, match="busy"):
            places.state_lock.write_text("")
        taken = locks.take(places)
        with pytest.raises(FleetdError):
            locks.take(places)
        taken.close()
        running.kill()


def test_one_that_an_earlier_version_in_this_process_kept_is_found(places: Instance, held: Locks) -> None:
    assert locks.kept_beside_the_state(places) == held.state
    assert locks.kept_beside_the_state(placed(places.state.parents[1] / "x", "other")) is None


def test_the_daemon_that_asks_is_no_obstacle_to_what_takes_its_place(places: Instance, held: Locks) -> None:
    places.control.touch()
    locks.check(places, daemon=os.getpid())
    with pytest.raises(FleetdError, match="running already"):
        locks.check(places, daemon=os.getppid())


def test_none_is_left_by_one_that_drained(places: Instance, short_path: Path) -> None:
    died(places)
    again = locks.take(places)
    again.erase()
    again.close()
    locks.take(placed(short_path, "other")).close()


def test_a_lock_file_that_was_removed_is_made_again(places: Instance) -> None:
    locks.take(places).close()
    places.lock.unlink()
    locks.take(places).close()
    assert places.lock.exists()
