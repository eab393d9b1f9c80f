"""Having the installed version check itself in a child, before a daemon gives its place to it.

The child runs the program that this process was started by, with the same arguments but for the command's name.  It
says what it is in one JSON document (`Verdict`), or why it cannot take over in its last line on standard error.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from msgspec import Struct

from fleetd.errors import FleetdError
from fleetd.shell.documents import decode
from fleetd.shell.ear import Ear
from fleetd.shell.handover import program
from fleetd.shell.reaper import Reaper
from fleetd.views.control_characters import made_visible

COMMAND = "self-check"
SECONDS = 30.0  # that it may take
LONGEST = 1000  # characters of a reason


class Verdict(Struct, frozen=True):
    """What a version says of itself; `keeper` and `handover` are the formats that it speaks."""

    version: str
    keeper: tuple[int, ...]
    handover: tuple[int, ...]
    runtime: str  # RUNTIME/INSTANCE, as the pool files have it


class FailedError(FleetdError):
    """The installed version cannot take over, in one line."""


async def self_check(reaper: Reaper) -> Verdict:
    """What the installed version says.  Raises FailedError."""
    try:
        code, said, errors = await _ran([*program(), COMMAND, *sys.argv[2:]], reaper)
    except OSError as error:
        raise FailedError(f"{sys.executable} cannot be started: {error.strerror}") from error
    if code is None:
        raise FailedError(f"it did not end within {SECONDS:g} s")
    if code != 0:
        raise FailedError(_last_line(errors) or _how(code))
    try:
        return decode(said, Verdict)
    except ValueError:
        raise FailedError("what it says makes no sense") from None


async def _ran(words: list[str], reaper: Reaper) -> tuple[int | None, bytes, bytes]:
    """The exit code (negative: the signal; None: it took too long), standard output and standard error."""
    said, errors = Ear(), Ear()
    try:
        pid = _spawned(words, said.mouth, errors.mouth)
        ended = reaper.status_of(pid)
        try:
            async with asyncio.timeout(SECONDS):
                code: int | None = os.waitstatus_to_exitcode(await asyncio.shield(ended))
        except TimeoutError:
            code = None
        finally:  # also where the daemon is to stop meanwhile
            if not ended.done():
                os.killpg(pid, signal.SIGKILL)  # nobody has waited for it yet: the number is its own
        if code is None:
            await ended
        return code, said.heard(), errors.heard()
    finally:
        said.close()
        errors.close()


def _spawned(words: list[str], stdout: int, stderr: int) -> int:
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, stdout, 1),
        (os.POSIX_SPAWN_DUP2, stderr, 2),
    ]
    environ = {**os.environ, "FLEETD_DEBUG": "1"}  # a defect is told as what it is
    return os.posix_spawn(words[0], words, environ, file_actions=files, setsid=True, setsigmask=())


def _last_line(errors: bytes) -> str:
    lines = [line.strip() for line in errors.decode(errors="replace").splitlines()]
    last = next((line for line in reversed(lines) if line), "")
    return made_visible(last.removeprefix(f"fleetd {COMMAND}: ").removeprefix("fleetd: "))[:LONGEST]


def _how(code: int) -> str:
    return f"it ended with exit code {code}" if code > 0 else f"it was ended by {signal.Signals(-code).name}"
