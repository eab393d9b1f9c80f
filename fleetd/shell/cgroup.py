"""A cgroup v2 for each run, where the daemon may make cgroups: what is in it dies together, whatever it has done.

INSTANCE's folder is made below the daemon's own cgroup, with one folder for each run.  No controller is ever enabled:
one would forbid processes in the folders above, and a unit that is restarted with workers in it would not start.
"""

from __future__ import annotations

import contextlib
import os
from binascii import crc32
from pathlib import Path


def own_cgroup(pid: int | str = "self") -> Path | None:
    """The folder of the cgroup v2 that a process is in; None where there is no such hierarchy in sight."""
    with contextlib.suppress(OSError, ValueError):  # ValueError: one that is not below what is mounted here
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        path = next((line[3:] for line in lines if line.startswith("0::")), None)
        for mount in Path("/proc/self/mountinfo").read_text().splitlines():
            fields = mount.split()  # id parent device root mount-point options… - type source options
            if path is not None and fields[fields.index("-") + 1] == "cgroup2":
                inside = Path(path)
                root = Path(fields[3])
                inside = inside.relative_to(root) if inside.is_relative_to(root) else inside.relative_to("/")
                return Path(fields[4]) / inside
    return None


def name_of(instance: str, runtime: Path) -> str:
    """What the folder of the instance that lives in a runtime directory is called: others may have its name."""
    return f"fleetd-{instance}-{crc32(os.fsencode(runtime)):08x}"


def folder_below(pid: int, name: str) -> str | None:
    """The cgroup of the run that a process belongs to, one in a folder of this name; it may have made more below it."""
    folder = own_cgroup(pid)
    return next((str(each) for each in (folder, *folder.parents) if each.parent.name == name), None) if folder else None


def usable_folder(name: str) -> Path | None:
    """The instance's folder, made and tried; None where cgroups cannot be made, entered or killed.

    Trying is the only sure test: the calling process moves into a folder of its own and back.
    """
    home = own_cgroup()
    if home is None:
        return None
    folder = home / name
    trial = folder / f"trial-{os.getpid()}"
    try:
        trial.mkdir(parents=True)
    except OSError:
        return None
    try:
        _write(f"{trial}/cgroup.procs", b"0")
        _write(f"{home}/cgroup.procs", b"0")
        return folder if (trial / "cgroup.kill").exists() else None
    except OSError:
        return None
    finally:
        with contextlib.suppress(OSError):
            trial.rmdir()


def populated(cgroup: str) -> bool:
    """Whether a living process is in it or below it; False when it is gone."""
    try:
        return b"populated 1" in _read(f"{cgroup}/cgroup.events")
    except FileNotFoundError:
        return False


def kill_all(cgroup: str) -> None:
    """SIGKILL to everything in it and below it, also to what is being forked at this moment."""
    with contextlib.suppress(FileNotFoundError):
        _write(f"{cgroup}/cgroup.kill", b"1")


def members(cgroup: str) -> tuple[int, ...]:
    """The pids in it (not below it)."""
    try:
        return tuple(int(pid) for pid in _read(f"{cgroup}/cgroup.procs").split())
    except FileNotFoundError:
        return ()


def remove(cgroup: str) -> bool:
    """Remove it with the empty ones that a worker may have made below it; whether it is gone."""
    with contextlib.suppress(OSError):
        os.rmdir(cgroup)
        return True
    for folder, _, _ in os.walk(cgroup, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return not os.path.exists(cgroup)


def had_oom_kill(cgroup: str) -> bool:
    """Whether the kernel killed something in it for want of memory; False where no memory controller says so."""
    with contextlib.suppress(OSError):
        return any(
            line.startswith(b"oom_kill ") and line != b"oom_kill 0"
            for line in _read(f"{cgroup}/memory.events").splitlines()
        )
    return False


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, data)  # one write(2): a file object would refuse in its destructor, unseen
    finally:
        os.close(descriptor)


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 65536)
    finally:
        os.close(descriptor)
