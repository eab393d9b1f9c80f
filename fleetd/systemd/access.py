"""What a unit's sandbox has to leave open, because the pools or fleetd itself are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath

from msgspec import Struct

from fleetd.core.spec import FleetSpec

HOMES = ("/home", "/root", "/run/user")  # what ProtectHome= hides
SYSTEM = ("/usr", "/boot", "/efi", "/etc")  # what ProtectSystem=full makes read-only


class Setting(Struct, frozen=True):
    """A directive's value, and why it is no stricter one."""

    value: str
    reason: str


def protect_home(
    spec: FleetSpec, homes: Mapping[str, str], read: tuple[str, ...], resolved: Callable[[str], str]
) -> Setting:
    """ProtectHome= for these pools.

    `homes` are the home directories of the pools' users by name, `read` what fleetd itself is read from, and `resolved`
    follows links.  Reasons hold no value of a pool file: it may be a secret.
    """
    for path, why in (*_worked_in(spec), *_used(spec, homes)):
        if _is_below(resolved(path), HOMES):
            return Setting("no", f"Left open, as {why} a home directory.")
    for path in read:
        if _is_below(resolved(path), HOMES):
            return Setting("read-only", f"Not hidden, as fleetd is read from {resolved(path)}.")
    return Setting("yes", "No pool, and nothing of fleetd, is in a home directory.")


def protect_system(spec: FleetSpec, resolved: Callable[[str], str]) -> Setting | None:
    """ProtectSystem= where the unit's own value is too strict for these pools."""
    for path, why in _worked_in(spec):
        if _is_below(resolved(path), SYSTEM):
            return Setting("no", f"Left open, as {why} a directory that it would make read-only.")
    return None


def _worked_in(spec: FleetSpec) -> Iterator[tuple[str, str]]:
    """Each path that is written to, and the beginning of a sentence about it."""
    for key in ("log_directory", "state_directory", "runtime_directory"):
        if path := getattr(spec.daemon, key):
            yield path, f"the {key.replace('_', '-')} is in"
    for name, pool in spec.pools.items():
        if pool.launch.directory is not None:
            yield pool.launch.directory, f"{name} works in"


def _used(spec: FleetSpec, homes: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each path that workers use besides, in the same way."""
    for name, pool in spec.pools.items():
        launch = pool.launch
        home = "/root" if launch.user is None else homes.get(launch.user, "")
        named = (word for word in (launch.env_file, launch.python, *launch.command) if word is not None)
        listed = (path for value in launch.env.values() for path in value.split(":"))  # as PATH and PYTHONPATH are
        paths = (path for path in (*named, *listed) if path.startswith("/") and not path.startswith("//"))  # a URL's
        yield from ((path, f"{name} uses files in") for path in paths)
        yield home, f"the user of {name} has"


def _is_below(path: str, roots: tuple[str, ...]) -> bool:
    return any(PurePosixPath(path).is_relative_to(root) for root in roots)
