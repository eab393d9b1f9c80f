"""What a daemon said before it ended, for the command that waited for it."""

from __future__ import annotations

from pathlib import Path

from fleetd.views.control_characters import made_visible

_TOLD = 20  # lines


def last_words(log: Path, start: int) -> str:
    """The last lines of the daemon's log after `start`, below a first line that names it."""
    try:
        with log.open("rb") as file:
            file.seek(start)
            lines = file.read().decode(errors="replace").splitlines()[-_TOLD:]
    except OSError:
        lines = []
    return "\n".join([f"the end of {log}:", *(made_visible(line) for line in lines)]) if lines else f"see {log}"
