"""Installing a unit, and removing it: what fleetd wrote and nobody changed, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from fleetd.errors import FleetdError
from fleetd.systemd.after_stop import processes_of
from fleetd.systemd.marker import Origin, marked, origin
from fleetd.systemd.shipped import NEEDRESTART, shipped
from fleetd.systemd.systemctl import Systemctl

SYSTEM_UNITS = Path("/etc/systemd/system")
NEEDRESTART_FOLDER = Path("/etc/needrestart/conf.d")
_NEEDRESTART_FILE = "fleetd.conf"
_ADVICE = "change it with drop-ins, `systemctl edit {unit}`"
_MODE = 0o644

Tell = Callable[[str], None]


class Place(Struct, frozen=True):
    """Where units are, and who runs them."""

    units: Path
    systemctl: Systemctl
    needrestart: Path | None  # the folder for its files, where it is installed


def place_of(*, for_user: bool) -> Place:
    """The system's place, or the caller's own."""
    if not for_user:
        return Place(SYSTEM_UNITS, Systemctl(for_user=False), NEEDRESTART_FOLDER)
    config = os.environ.get("XDG_CONFIG_HOME", "")
    try:
        home = Path(config) if config.startswith("/") else Path.home() / ".config"
    except RuntimeError:
        raise FleetdError(f"user {os.geteuid()} has no account and no HOME: set XDG_CONFIG_HOME or HOME") from None
    return Place(home / "systemd" / "user", Systemctl(for_user=True), None)


def install(place: Place, unit: str, text: str, tell: Tell, *, force: bool = False, now: bool = False) -> None:
    """Write the unit, and have it started at boot; `now`: start it as well, and wait until it is ready.

    Raises FleetdError for a unit that somebody changed, unless forced, and where systemd refuses.
    """
    systemctl = place.systemctl
    systemctl.check()
    path = place.units / unit
    written = _write(path, marked(text, _ADVICE.format(unit=unit)), force=force)
    tell(f"{path}: {'written' if written else 'unchanged'}")
    if place.needrestart is not None:
        _spare_from_needrestart(place.needrestart, tell)
    if written or systemctl.value(unit, "NeedDaemonReload") == "yes":
        systemctl.run("daemon-reload")
    if not systemctl.answers("is-enabled", "--quiet", unit):
        systemctl.run("enable", "--quiet", unit)
        tell(f"{unit}: enabled")
    if systemctl.answers("is-active", "--quiet", unit):
        if written:
            tell(f"{unit}: runs on; its times hold from now on, what else has changed from its next start on")
    elif now:
        systemctl.run("start", unit)
        tell(f"{unit}: started")


def uninstall(place: Place, unit: str, tell: Tell, is_supervised: Callable[[], bool], *, force: bool = False) -> None:
    """Drain and stop the unit, and remove it; drop-ins stay, as do state and logs.

    Raises FleetdError for a unit that somebody changed, unless forced, where systemd refuses, and where processes are
    there after the stop: then nothing is removed.  A daemon that was started by hand `is_supervised`, too.
    """
    systemctl = place.systemctl
    systemctl.check()
    path = place.units / unit
    if not os.path.lexists(path):
        tell(f"{path}: not there, nothing to do")
        return
    _check(path, force=force, what="removed")
    if systemctl.answers("is-active", "--quiet", unit):
        tell(f"{unit}: stopping; jobs in hand may take up to {systemctl.value(unit, 'TimeoutStopUSec')}")
    cgroup = systemctl.value(unit, "ControlGroup") or _usual_cgroup(systemctl, unit)
    systemctl.run("stop", unit)
    _check_that_none_is_left(unit, cgroup, is_supervised)
    systemctl.answers("clean", "--what=runtime", unit)  # older ones cannot
    systemctl.run("disable", "--quiet", unit)
    _remove(path)
    systemctl.run("daemon-reload")
    systemctl.answers("reset-failed", unit)
    tell(f"{path}: removed")
    drop_ins = path.with_name(f"{unit}.d")
    if drop_ins.is_dir():
        tell(f"{drop_ins}: left, as it is not fleetd's")
    if place.needrestart is not None and not list(place.units.glob("fleetd-*.service")):
        _leave_to_needrestart(place.needrestart / _NEEDRESTART_FILE, tell)


def _usual_cgroup(systemctl: Systemctl, unit: str) -> str:
    """Where what an earlier stop has left of a unit of the system is: of one that does not run systemd says nothing."""
    parts = systemctl.value(unit, "Slice").removesuffix(".slice").split("-")
    if systemctl.for_user or parts == [""]:
        return ""
    slices = ["-".join(parts[:number]) for number in range(1, len(parts) + 1)]
    return "/".join(["", *(f"{each}.slice" for each in slices), unit])


def _check_that_none_is_left(unit: str, cgroup: str, is_supervised: Callable[[], bool]) -> None:
    if is_supervised():
        raise FleetdError(f"a daemon that is none of {unit} runs: `fleetd stop` it first; nothing was removed")
    if left := processes_of(unit, cgroup):
        raise FleetdError(
            f"{len(left)} processes of {unit} are there after the stop, as it had no daemon: `systemctl start {unit}`, "
            "and try again; nothing was removed"
        )


def _write(path: Path, text: str, *, force: bool) -> bool:
    """Write a file where it says something else; whether it did."""
    if path.is_file() and not path.is_symlink() and _read(path) == text:
        return False
    if os.path.lexists(path):
        _check(path, force=force, what="written")
    new = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(text, encoding="utf-8")
        new.chmod(_MODE)
        new.replace(path)
    except OSError as error:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise FleetdError(f"{path} cannot be written: {error.strerror}") from None
    return True


def _check(path: Path, *, force: bool, what: str) -> None:
    """Raise FleetdError for a file that is not as fleetd wrote it."""
    if force:
        return
    whose = _origin(path)
    if whose is not Origin.WRITTEN:
        raise FleetdError(
            f"{path} was {whose.value}: not {what}; keep what you need of it in {path}.d/own.conf, then give --force"
        )


def _origin(path: Path) -> Origin:
    if path.is_symlink() or not path.is_file():
        return Origin.FOREIGN
    return origin(_read(path))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise FleetdError(f"{path} cannot be read: {error.strerror}") from None


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        raise FleetdError(f"{path} cannot be removed: {error.strerror}") from None


def _spare_from_needrestart(folder: Path, tell: Tell) -> None:
    path = folder / _NEEDRESTART_FILE
    if not folder.is_dir() or (os.path.lexists(path) and _origin(path) is not Origin.WRITTEN):
        return
    if _write(path, marked(shipped(NEEDRESTART), "removed with the last unit"), force=False):
        tell(f"{path}: written, so that needrestart does not drain workers for a library's sake")


def _leave_to_needrestart(path: Path, tell: Tell) -> None:
    if os.path.lexists(path) and _origin(path) is Origin.WRITTEN:
        _remove(path)
        tell(f"{path}: removed")
