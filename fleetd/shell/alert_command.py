"""Running the command of an alert: never by a shell, for a limited time, with the document on its standard input."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from fleetd.core.spec import Seconds
from fleetd.errors import FleetdError
from fleetd.shell.ear import Ear
from fleetd.shell.reaper import Reaper
from fleetd.views.control_characters import made_visible

LIMIT: Seconds = 30.0
SHOWN = 10  # lines of what a command that failed has said
_OF_DAEMON = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
_EXPORTED = ("event", "state", "fleet", "host", "instance", "pool", "queue", "worker", "text")

_log = logging.getLogger("fleetd")


class FailedError(FleetdError):
    """The command failed; says how in one line."""


async def run(
    command: tuple[str, ...], document: Mapping[str, Any], body: bytes, reaper: Reaper, limit: Seconds = LIMIT
) -> None:
    """Run it until it ends, or is killed with all of its group after `limit` seconds.  Raises FailedError."""
    try:
        ear = Ear()
    except OSError as error:  # no descriptor is left
        raise FailedError(f"it cannot be started: {error.strerror}") from None
    try:
        try:
            pid = _spawned(command, document, body, ear.mouth)
        except OSError as error:
            raise FailedError(f"it cannot be started: {error.strerror}") from None
        code = await _code(pid, reaper, limit)
        if code != 0:
            _log_lines(ear.heard())
            raise FailedError(f"it did not end within {limit:g} s" if code is None else _how(code))
    finally:
        ear.close()


async def _code(pid: int, reaper: Reaper, limit: Seconds) -> int | None:
    """The exit code (negative: the signal); None: it took too long."""
    ended = reaper.status_of(pid)
    try:
        async with asyncio.timeout(limit):
            return os.waitstatus_to_exitcode(await asyncio.shield(ended))
    except TimeoutError:
        return None
    finally:  # also where the daemon is to stop meanwhile
        if not ended.done():
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)  # nobody has waited for it yet: the number is its own
            await asyncio.shield(ended)


def _spawned(command: tuple[str, ...], document: Mapping[str, Any], body: bytes, output: int) -> int:
    told = os.memfd_create("alert")
    try:
        os.write(told, body)
        os.lseek(told, 0, os.SEEK_SET)
        files = [(os.POSIX_SPAWN_DUP2, told, 0), (os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
        return os.posix_spawnp(
            command[0],
            command,
            _environment(document),
            file_actions=files,
            setsid=True,
            setsigmask=(),
            setsigdef=_IGNORED_BY_PYTHON,
        )
    finally:
        os.close(told)


def _environment(document: Mapping[str, Any]) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if name not in _OF_DAEMON}
    told = {f"FLEETD_{name.upper()}": document[name] for name in _EXPORTED if document[name] is not None}
    return own | {name: str(value).replace("\0", "") for name, value in told.items()}


def _how(code: int) -> str:
    if code > 0:
        return f"it ended with exit code {code}"
    try:
        return f"it was ended by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal has no name of its own
        return f"it was ended by signal {-code}"


def _log_lines(output: bytes) -> None:
    for line in output.decode(errors="replace").splitlines()[-SHOWN:]:
        _log.warning("alert: the command said: %s", made_visible(line))
