"""Pool files as the daemon of a unit will read them: with the environment of the unit, not that of this shell."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from fleetd.cli.configuration import Host
from fleetd.config.load import load
from fleetd.frameworks.framework import Shipped
from fleetd.systemd.systemctl import Systemctl
from fleetd.systemd.unit import environment_file

_ASSIGNMENT = re.compile(r"\s*([A-Za-z_]\w*)=(.*)")


class _UnitsHost(Host):
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    @property
    def environ(self) -> Mapping[str, str]:
        return self._environ


def missing_in_unit(files: Sequence[Path], systemctl: Systemctl) -> Iterator[str]:
    """What is wrong with files, that are right in this shell, for a unit, and what to do about it."""
    beside = environment_file(os.path.abspath(files[0]))  # noqa: PTH100 - as in the unit
    assigned = systemctl.environment()
    with suppress(OSError, UnicodeDecodeError):
        assigned = "\n".join((assigned, Path(beside).read_text(encoding="utf-8")))
    environ = {found[1]: found[2].strip("\"'") for found in map(_ASSIGNMENT.match, assigned.splitlines()) if found}
    for problem in load([str(file) for file in files], _UnitsHost(environ), Shipped()).problems:
        yield f"{problem} (a unit has another environment than this shell: write NAME=VALUE lines into {beside})"
