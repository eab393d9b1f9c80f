"""runit: runsvdir over a service for each worker, and svlogd for the output of each."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path

from tests.bench.fleet import Order
from tests.bench.programs import MissingError

RUN = "#!/bin/sh\nexec 2>&1\nexec {command}\n"
LOG = "#!/bin/sh\nexec svlogd -b 65536 {logs}\n"
MOST = 1000  # services of one runsvdir, as it was compiled
TO_DOWNLOAD = 120.0  # seconds


class Runit:
    """From PATH, or Debian's package unpacked below `home`; raises MissingError where neither is possible."""

    label = "runit"
    has_status = True
    stop_signal = signal.SIGHUP  # on TERM it leaves the services running

    def __init__(self, home: Path) -> None:
        self._commands = _installed() or _unpacked(home / "runit")
        self.version = "2.1.2"  # the last there is

    def prepare(self, order: Order) -> list[str]:
        """The folders of the services; raises RuntimeError for more than it can have."""
        if order.workers > MOST:
            raise RuntimeError(f"runsvdir serves at most {MOST} services")
        for number in range(order.workers):
            service = order.directory / "services" / f"{number:05d}"
            logs = self._logs(order, number)
            (service / "log").mkdir(parents=True)
            logs.mkdir()
            (logs / "config").write_text(f"s{order.log_size}\nn{order.logs_kept}\n")
            _script(service / "run", RUN.format(command=" ".join(order.command(service.name))))
            _script(service / "log" / "run", LOG.format(logs=logs))
        return ["/usr/bin/env", f"PATH={self._commands}:/usr/bin:/bin", "runsvdir", str(order.directory / "services")]

    def restart(self, order: Order) -> list[str]:
        """`sv restart` of all."""
        return self._control(order, "restart")

    def status(self, order: Order) -> list[str]:
        """`sv status` of all."""
        return self._control(order, "status")

    def logs(self, order: Order) -> list[list[Path]]:
        """Those put aside are named after the time, `current` is the youngest."""
        folders = [self._logs(order, number) for number in range(order.workers)]
        return [[*sorted(folder.glob("@*")), folder / "current"] for folder in folders]

    def tidy(self, order: Order) -> None:
        """Nothing."""

    def _control(self, order: Order, verb: str) -> list[str]:
        services = (str(order.directory / "services" / f"{number:05d}") for number in range(order.workers))
        return [str(self._commands / "sv"), "-w", "60", verb, *services]

    def _logs(self, order: Order, number: int) -> Path:
        return order.logs / f"{number:05d}"


def _script(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o755)


def _installed() -> Path | None:
    found = shutil.which("runsvdir")
    return Path(found).parent if found else None


def _unpacked(folder: Path) -> Path:
    """Nothing is installed on the machine, so no rights are needed and no service is begun."""
    commands = folder / "usr" / "bin"
    if (commands / "runsvdir").exists():
        return commands
    folder.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(
            ["apt-get", "download", "runit"], cwd=folder, check=True, capture_output=True, timeout=TO_DOWNLOAD
        )
        package = next(folder.glob("runit_*.deb"))
        subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True, capture_output=True)
    except (OSError, subprocess.SubprocessError, StopIteration) as error:
        raise MissingError(f"not installed, and apt-get cannot download it: {error}") from error
    return commands
