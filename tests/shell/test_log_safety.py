"""What an attacker puts in a log's way is never written, emptied, given away or opened up."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from fleetd.shell.compression import Compressor
from fleetd.shell.log import DetachedLog
from fleetd.shell.logfile import LogFile
from fleetd.shell.paths import Instance, prepare
from fleetd.shell.predecessors import Predecessors
from tests.support.output_bench import until

SECRET = b"root's own\n"
SOMEBODY = 65534

as_root = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="only root can be led astray")]


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file that must stay as it is."""
    file = tmp_path / "victim"
    file.write_bytes(SECRET)
    file.chmod(0o600)
    return file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir(mode=0o755)
    return tmp_path / "logs" / "media-0.log"


def untouched(victim: Path) -> bool:
    found = victim.stat()
    return (victim.read_bytes(), found.st_uid, found.st_mode & 0o777) == (SECRET, os.geteuid(), 0o600)


Plant = Callable[[Path, Path], None]


def a_link(at: Path, to: Path) -> None:
    at.symlink_to(to)


def another_name(at: Path, to: Path) -> None:
    at.hardlink_to(to)


PLANTS = [a_link, pytest.param(another_name, marks=as_root)]


@pytest.mark.parametrize("plant", PLANTS)
def test_the_log_itself(path: Path, victim: Path, plant: Plant) -> None:
    plant(path, victim)
    with closing(LogFile(path, max_size=5, keep=0, owner=(os.geteuid(), os.getegid()))) as log:
        for _ in range(2):
            with pytest.raises(OSError, match=r"symbolic|hard link") as raised:
                log.append(b"x\n")
            assert raised.value.errno in {errno.ELOOP, errno.EMLINK}
    assert untouched(victim)


@pytest.mark.parametrize("plant", PLANTS)
def test_numbered_files(path: Path, victim: Path, plant: Plant) -> None:
    for number in range(1, 4):
        plant(path.with_name(f"{path.name}.{number}"), victim)
        plant(path.with_name(f"{path.name}.{number}.gz"), victim)
    with closing(LogFile(path, max_size=5, keep=2, owner=(os.geteuid(), os.getegid()))) as log:
        for n in range(6):
            log.append(b"%d____\n" % n)
            assert untouched(victim)
    assert path.with_name(f"{path.name}.2").read_bytes() == b"3____\n"


@pytest.mark.parametrize("plant", PLANTS)
def test_the_place_of_a_compressed_file(path: Path, victim: Path, plant: Plant) -> None:
    path.with_name(f"{path.name}.1").write_bytes(b"one\n")
    for ending in (".gz.new", ".1.gz"):
        plant(path.with_name(path.name + ending), victim)

    async def scene() -> None:
        with closing(Compressor()) as compressor:
            compressor.add(Predecessors(path))
            await until(lambda: compressor._thread is None)

    asyncio.run(scene())
    assert untouched(victim)
    assert b"".join(Predecessors(path).read(1, 0)) == b"one\n"


def test_a_link_is_not_compressed(path: Path, victim: Path) -> None:
    path.with_name(f"{path.name}.1").symlink_to(victim)

    async def scene() -> None:
        with closing(Compressor()) as compressor:
            compressor.add(Predecessors(path))
            await until(lambda: compressor._thread is None)

    asyncio.run(scene())
    assert not path.with_name(f"{path.name}.1.gz").exists()


@pytest.mark.parametrize("of_another", [False, pytest.param(True, marks=as_root)])
def test_the_directory_of_the_instance(path: Path, tmp_path: Path, of_another: bool) -> None:
    elsewhere = tmp_path / "elsewhere"
    path.parent.rename(elsewhere)
    if of_another:
        path.parent.mkdir(mode=0o755)
        os.chown(path.parent, SOMEBODY, SOMEBODY)
    else:
        path.parent.symlink_to(elsewhere)
    with closing(LogFile(path, max_size=0, keep=1)) as log, pytest.raises(OSError, match=r"Not a dir|than root"):
        log.append(b"x\n")
    assert list(elsewhere.iterdir()) == []
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("plant", PLANTS)
def test_the_daemons_own_log(path: Path, victim: Path, plant: Plant) -> None:
    """It goes on where it is."""
    path.write_bytes(b"")
    saved = [os.dup(1), os.dup(2)]
    try:
        log = DetachedLog(path)
        log.reopen()
        os.write(2, b"one\n")
        moved = path.with_suffix(".moved")
        path.rename(moved)
        plant(path, victim)
        log.keep_up()
        log.reopen()
        os.write(2, b"two\n")
    finally:
        for fd, old in zip((1, 2), saved, strict=True):
            os.dup2(old, fd)
            os.close(old)
    assert moved.read_bytes() == b"one\ntwo\n"
    assert untouched(victim)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_that_is_there_is_not_given_away(path: Path) -> None:
    path.write_bytes(b"root's\n")
    path.chmod(0o600)
    with closing(LogFile(path, max_size=0, keep=1, owner=(SOMEBODY, SOMEBODY))) as log:
        log.append(b"x\n")
    assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (0, 0o600)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root lets users through")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_users_may_pass_through_to_their_logs_and_not_list_them(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        prepare(Instance("acme", tmp_path / "run" / "acme", tmp_path / "lib" / "acme", tmp_path / "log" / "acme"))
    finally:
        os.umask(before)
    modes = [oct(each.stat().st_mode)[-3:] for each in (tmp_path / "log", tmp_path / "log" / "acme")]
    assert modes == ["755", "751"]
    assert oct((tmp_path / "lib" / "acme").stat().st_mode)[-3:] == "700"
