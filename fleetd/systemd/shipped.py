"""The files of the project's `systemd/` folder, which are in the package too."""

from __future__ import annotations

from pathlib import Path

from fleetd.errors import FleetdError

UNIT = "fleetd@.service"
NEEDRESTART = "needrestart.conf"

_FOLDER = Path(__file__).with_name("files")


def shipped(name: str) -> str:
    """The text of one of them.  Raises FleetdError where the package was installed without them."""
    path = _FOLDER / name
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise FleetdError(f"{path} cannot be read ({error.strerror}): install fleetd again, as a whole") from None
