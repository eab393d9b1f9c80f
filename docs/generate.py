"""Writes the generated pages of docs/ from the code that they describe (`make docs`); with --check only compares.

Never holds text of its own: a page is what its generator returns; of docs/status.md, only the tables.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from fleetd.cli import reference as commands
from fleetd.config import reference as pool_file
from fleetd.doctor import reference as doctor
from fleetd.frameworks import reference as frameworks
from fleetd.tui import reference as live_view
from fleetd.views.metrics import reference as metrics

ROOT = Path(__file__).parents[1]


def main() -> int:
    """With --check: 1, and one line on standard error for each page that is not up to date."""
    check = sys.argv[1:] == ["--check"]
    stale = 0
    for name, page in pages().items():
        path, text = ROOT / name, page()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if check:
            stale += 1
            sys.stderr.write(f"{name} is not up to date: run `make docs`\n")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {name}\n")
    return 1 if stale else 0


def pages() -> dict[str, Callable[[], str]]:
    """Each generated page, and what makes it."""
    return {
        "docs/doctor.md": doctor.render,
        "docs/reference/commands.md": commands.reference,
        "docs/reference/frameworks.md": frameworks.render,
        "docs/reference/metrics.md": metrics.reference,
        "docs/reference/pool-file.md": pool_file.reference,
        "docs/status.md": lambda: live_view.filled((ROOT / "docs/status.md").read_text(encoding="utf-8")),
    }


if __name__ == "__main__":
    sys.exit(main())
