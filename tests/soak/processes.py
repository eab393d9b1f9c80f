"""The processes of an instance, found by what they inherited; a few milliseconds for a whole machine."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.crash import started_at
from tests.support.fleetd_cli import MARK
from tests.support.process_world import alive, open_descriptors

_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Process:
    """One that lives."""

    pid: int
    run: str | None  # FLEETD_RUN
    command: str


def of_instance(directory: Path) -> list[Process]:
    """All that live and carry the mark of this directory."""
    mark = f"{MARK}={directory}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):
            variables = (folder / "environ").read_bytes().split(b"\0")
            if mark in variables and alive(int(folder.name)):
                run = next((v[11:].decode() for v in variables if v.startswith(b"FLEETD_RUN=")), None)
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append(Process(int(folder.name), run, command))
    return found


def keeper_of(directory: Path) -> int | None:
    """The pid of the instance's keeper; a child that it has just forked looks the same, and is younger."""
    keepers = [p.pid for p in of_instance(directory) if "keeper/__main__" in p.command]
    born = {pid: started for pid in keepers if (started := started_at(pid)) is not None}
    return min(born, key=lambda pid: (born[pid], pid), default=None)


@dataclass(frozen=True, slots=True)
class Size:
    """What a process takes."""

    rss: int  # bytes
    descriptors: int

    def __str__(self) -> str:
        return f"{self.rss / 1e6:.1f} MB, {self.descriptors} descriptors"


def size_of(pid: int) -> Size:
    """What a process takes now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return Size(pages * _PAGE, open_descriptors(pid))
