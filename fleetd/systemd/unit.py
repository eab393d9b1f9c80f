"""The unit of one instance, written from the text of `systemd/fleetd@.service`."""

from __future__ import annotations

import math

from msgspec import Struct

from fleetd.core.capacity import DESCRIPTORS_A_RUN, most_runs, nofile_asked
from fleetd.core.drain_time import longest_drain
from fleetd.core.spec import FleetSpec, Seconds
from fleetd.systemd.access import Setting
from fleetd.systemd.lines import with_value, without, without_paragraph, without_preamble
from fleetd.systemd.quoting import command_line, file_path

END_SECONDS: Seconds = 30.0  # from the last worker's end to the daemon's, on a busy machine
SHORTEST_STOP: Seconds = 90.0  # what systemd gives every service
MOST_DESCRIPTORS = 524_288  # the hard limit that systemd gives every service
FIRST_DESCRIPTORS = 1024
SPARE_DESCRIPTORS = 1024  # for what is scaled up later, and the rest of the daemon


class Wanted(Struct, frozen=True):
    """What a unit is written for."""

    instance: str
    program: tuple[str, ...]  # the words that run `fleetd`, the first an absolute path
    files: tuple[str, ...]  # absolute paths of the pool files
    spec: FleetSpec
    home: Setting  # ProtectHome=
    system: Setting | None = None  # ProtectSystem=, where it is not the text's own
    is_named: bool = False  # the instance is not called as its first file
    for_user: bool = False  # for a user's own manager


def unit_name(instance: str) -> str:
    """The unit of an instance."""
    return f"fleetd-{instance}.service"


def stop_seconds(spec: FleetSpec) -> int:
    """TimeoutStopSec= for these pools, in seconds."""
    return math.ceil(max(longest_drain(spec) + END_SECONDS, SHORTEST_STOP))


def descriptors(spec: FleetSpec) -> int:
    """The hard LimitNOFILE= for these pools: what daemon and keeper hold, and what workers are given."""
    return max(DESCRIPTORS_A_RUN * most_runs(spec) + SPARE_DESCRIPTORS, nofile_asked(spec), MOST_DESCRIPTORS)


def render(text: str, wanted: Wanted) -> str:
    """The unit, from the `text` of the shipped template.

    Raises UsageError for a path that no unit file can hold.
    """
    spec = wanted.spec
    # Before any path is in it: one may hold a `%i` of its own.
    text = without_preamble(text).replace("%i", wanted.instance)
    files = [word for file in wanted.files for word in ("-c", file)]
    which = [*files, *(("--instance", wanted.instance) if wanted.is_named else ())]
    scope = ("--user",) if wanted.for_user else ()
    for key, words in (
        ("ExecStart", ("start", *which)),
        ("ExecReload", ("reload", "--no-wait", *which)),
        ("ExecStopPost", ("systemd", "after-stop", *scope, *which)),
    ):
        text = with_value(text, key, command_line((*wanted.program, *words)))
    text = with_value(text, "EnvironmentFile", f"-{file_path(environment_file(wanted.files[0]))}")
    text = with_value(text, "TimeoutStopSec", f"{stop_seconds(spec)}s")
    text = with_value(text, "LimitNOFILE", f"{FIRST_DESCRIPTORS}:{descriptors(spec)}")
    text = without(text, *_directories_elsewhere(spec))
    return _for_user(text, wanted.instance) if wanted.for_user else _hardened(text, wanted)


def environment_file(file: str) -> str:
    """Where a unit's environment is read from, if it is there: beside the first pool file."""
    return f"{file.removesuffix('.toml')}.env"


def _directories_elsewhere(spec: FleetSpec) -> list[str]:
    """Directives of directories that systemd need not make, as the pool files name others."""
    daemon = spec.daemon
    keys: list[str] = []
    if daemon.runtime_directory is not None:
        keys += ["RuntimeDirectory", "RuntimeDirectoryPreserve"]
    if daemon.state_directory is not None:
        keys += ["StateDirectory", "StateDirectoryMode"]
    if daemon.log_directory is not None:
        keys += ["LogsDirectory", "LogsDirectoryMode"]
    return keys


def _hardened(text: str, wanted: Wanted) -> str:
    text = with_value(text, "ProtectHome", wanted.home.value, wanted.home.reason)
    if wanted.system is not None:
        text = with_value(text, "ProtectSystem", wanted.system.value, wanted.system.reason)
    return text


def _for_user(text: str, instance: str) -> str:
    """Without what only the system's own manager can do.

    A user's manager sandboxes nothing without NoNewPrivileges= or a user namespace; it cannot order after units of the
    system; and its state and log directories are others than fleetd's.
    """
    text = without_paragraph(text, "# Hardening.")
    text = without(text, "Wants", "After", "StateDirectory", "StateDirectoryMode", "LogsDirectory", "LogsDirectoryMode")
    directory = f"RuntimeDirectory=fleetd/{instance}\n"
    text = text.replace(directory, f"{directory}RuntimeDirectoryMode=0700\n")
    return with_value(text, "WantedBy", "default.target")
