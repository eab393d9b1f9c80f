"""Whether the unit that a daemon runs in gives its pools the time to drain."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from fleetd.core.drain_time import longest_drain
from fleetd.core.spec import FleetSpec, Seconds
from fleetd.errors import FleetdError
from fleetd.systemd.after_stop import Cgroup
from fleetd.systemd.systemctl import Systemctl

_SPAN = re.compile(r"([0-9.]+)(us|ms|s|min|h|d|w|month|y)")
_UNITS: Mapping[str, Seconds] = {
    "us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86_400, "w": 604_800, "month": 2_629_800,
    "y": 31_557_600,
}  # fmt: skip


def too_short(spec: FleetSpec) -> str | None:
    """A warning where this process is a unit's, and the unit stops waiting before the pools have drained."""
    if os.environ.get("SYSTEMD_EXEC_PID") != str(os.getpid()):
        return None
    cgroup = Cgroup.own()
    if cgroup is None:
        return None
    needed = longest_drain(spec)
    for_user = f"/user@{os.geteuid()}.service/" in f"{cgroup.folder}/"
    try:
        given = seconds(Systemctl(for_user=for_user).value(cgroup.unit, "TimeoutStopUSec"))
    except FleetdError:
        return None
    if given is None or given >= needed:
        return None
    return (
        f"TimeoutStopSec= of {cgroup.unit} is {given:g} s, and these pools may take {needed:g} s to drain: "
        "run `fleetd systemd install` again"
    )


def seconds(text: str) -> Seconds | None:
    """A time span as systemd prints it (`1h 30min`), in seconds; None where it is none, or endless."""
    words = [_SPAN.fullmatch(word) for word in text.split()]
    if not words or None in words:
        return None
    return sum(float(word[1]) * _UNITS[word[2]] for word in words if word is not None)
