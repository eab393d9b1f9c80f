"""The commands: a table, so that a call imports only the one that it names."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

from fleetd.cli.parser import Parser


class Command(NamedTuple):
    """One command; its module in this package has `define(parser)` and `run(args) -> int`, or is none yet."""

    summary: str
    example: str
    module: str | None

    def load(self) -> ModuleType:
        """The module, imported now."""
        return import_module(f"fleetd.cli.{self.module or 'later'}")


COMMANDS: Mapping[str, Command] = {
    "start": Command(
        "run the daemon with -c FILE, or start what was stopped with TARGET",
        "fleetd start -c media.toml --detach",
        "start",
    ),
    "stop": Command(
        "stop pools or workers; without TARGET, drain everything and end the daemon", "fleetd stop media:0", "stop"
    ),
    "restart": Command("roll workers onto new code, replacements first", "fleetd restart media --label v42", "restart"),
    "rollouts": Command("show and steer the restarts of the fleet", "fleetd rollouts 1790000123 --resume", "rollouts"),
    "status": Command("show pools and workers", "fleetd status 'media*' --json", "status"),
    "scale": Command("change how many workers a pool has", "fleetd scale media=4 mail=+2", "scale"),
    "pause": Command("take no new jobs", "fleetd pause media", "pause"),
    "resume": Command("go on after a pause", "fleetd resume media", "resume"),
    "reload": Command("read the pool files again and apply what changed", "fleetd reload --dry-run", "reload"),
    "logs": Command("show the output of workers", "fleetd logs media -f -n 20", "logs"),
    "events": Command("show what happened: starts, exits, recycles, restarts", "fleetd events -f --json", "events"),
    "health": Command(
        "exit 0 unless a worker is in a crash loop, given up, or failed for good",
        "fleetd health --ready media",
        "health",
    ),
    "signal": Command("send a signal to the main process of each worker", "fleetd signal USR1 media:0", "signal"),
    "check": Command("read pool files and say what is wrong with them", "fleetd check -c media.toml", "check"),
    "init": Command("write a commented pool file to start from", "fleetd init --framework rq > pools.toml", "init"),
    "schema": Command("print the JSON Schema of the pool file", "fleetd schema > fleetd.schema.json", "schema"),
    "completion": Command(
        "print the completion script for a shell",
        "fleetd completion bash > /etc/bash_completion.d/fleetd",
        "completion",
    ),
    "doctor": Command("check the host, the brokers and the frameworks", "fleetd doctor -c media.toml", "doctor"),
    "import": Command(
        "turn a supervisord.conf or a Procfile into a pool file", "fleetd import supervisord.conf > pools.toml", None
    ),
    "systemd": Command(
        "install, remove or print the systemd unit", "fleetd systemd install -c /etc/fleetd/media.toml --now", "systemd"
    ),
    "upgrade": Command("replace the daemon by the newly installed version", "fleetd upgrade", "upgrade"),
    "dashboard": Command("show the fleet in a web browser", "fleetd dashboard", None),
    "lock": Command(
        "run a command while holding a lock of the whole fleet", "fleetd lock nightly -- ./nightly.sh", None
    ),
}

HIDDEN: Mapping[str, Command] = {  # what fleetd asks itself
    "self-check": Command("say whether this version could take a daemon's place", "fleetd self-check", "self_check"),
}


def command_of(name: str) -> Command | None:
    """The command of this name, None where there is none."""
    return COMMANDS.get(name) or HIDDEN.get(name)


def parser_of(name: str) -> Parser:
    """The full parser of a command."""
    command = command_of(name)
    assert command is not None
    later = "" if command.module else " (not yet in this version)"
    parser = Parser(name, command.summary + later, command.example)
    command.load().define(parser)
    return parser
