"""systemctl, of the system or of a user's own manager."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from fleetd.errors import FleetdError

ANSWER_WITHIN = 10.0  # seconds for a question; a start or a stop may take any time
_BOOTED = Path("/run/systemd/system")  # sd_booted(3)


class Systemctl:
    """One manager's units.  Raises FleetdError where systemctl cannot be run, or a question is not answered in time."""

    def __init__(self, *, for_user: bool) -> None:
        self.for_user = for_user

    def check(self) -> None:
        """Raise FleetdError where there is no such manager to talk to."""
        if not _BOOTED.is_dir():
            raise FleetdError(
                "systemd is not what runs this machine (there is no /run/systemd/system); "
                "`fleetd systemd show` prints the unit all the same"
            )
        if self.for_user and not os.environ.get("XDG_RUNTIME_DIR"):
            raise FleetdError(
                "this login has no user manager (XDG_RUNTIME_DIR is not set): log in as the user, not by su or sudo, "
                "or set it to /run/user/UID"
            )

    def run(self, *words: str) -> None:
        """Carry out a command, whose own words go to standard error.  Raises FleetdError when it fails."""
        done = self._call(words, subprocess.PIPE, None)
        said = done.stderr.strip()
        if done.returncode != 0:
            called = " ".join(("systemctl", *self._scope(), *words))
            raise FleetdError(f"`{called}` failed: {' '.join(said.split()) or f'exit code {done.returncode}'}")

    def answers(self, *words: str) -> bool:
        """Whether a question (`is-enabled`, `is-active`) is answered by yes."""
        return self._call(words, subprocess.DEVNULL).returncode == 0

    def value(self, unit: str, name: str) -> str:
        """A property of a unit; empty where it cannot be had."""
        return self._call(("show", unit, "--property", name, "--value"), subprocess.DEVNULL).stdout.strip()

    def environment(self) -> str:
        """What it gives its units, as lines of NAME=VALUE."""
        return self._call(("show-environment",), subprocess.DEVNULL).stdout

    def job(self, unit: str) -> str | None:
        """What is being done with the unit (start, stop, restart …); None: nothing, or it cannot be told."""
        listed = self._call(("list-jobs", "--plain", "--no-legend", unit), subprocess.DEVNULL).stdout
        fields = next((line.split() for line in listed.splitlines() if unit in line.split()), [])
        return fields[2] if len(fields) > 2 else None  # noqa: PLR2004 - JOB UNIT TYPE STATE

    def _call(
        self, words: tuple[str, ...], errors: int, within: float | None = ANSWER_WITHIN
    ) -> subprocess.CompletedProcess[str]:
        command = ["systemctl", *self._scope(), "--no-pager", "--no-ask-password", *words]
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0"}
        try:
            return subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True,
                check=False, timeout=within,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise FleetdError(f"systemd does not answer within {within:g} s (`{' '.join(command)}`)") from None
        except OSError as error:
            raise FleetdError(f"systemctl cannot be run ({error.strerror}): is systemd installed?") from None

    def _scope(self) -> tuple[str, ...]:
        return ("--user",) if self.for_user else ()
