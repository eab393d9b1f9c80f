"""The files of the project's `systemd/` folder, which are in the package too."""

from __future__ import annotations

from pathlib import Path

UNIT = "fleetd@.service"
NEEDRESTART = "needrestart.conf"

_FOLDER = Path(__file__).with_name("files")


def shipped(name: str) -> str:
    """The text of one of them."""
    return (_FOLDER / name).read_text(encoding="utf-8")
