"""Runs the scenario for each framework, and shows or writes the table: python -m tests.field [--write] [NAME…]."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.field.cases import CASES, NOTES, Case
from tests.field.page import PAGE, rendered, write, written_rows
from tests.field.row import Key, Row
from tests.field.scenario import Scenario
from tests.support.fleetd_cli import Fleetd


def main() -> int:
    """0; 1 where a scenario failed, or a row is not as the page has it (and was not to be written)."""
    parser = argparse.ArgumentParser(prog="python -m tests.field", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write the rows to {PAGE.name}")
    parser.add_argument("frameworks", nargs="*", metavar="NAME", help="only these, as they are called in the table")
    arguments = parser.parse_args()
    names = {name.lower() for name in arguments.frameworks}
    before = written_rows()
    rows = dict(before)
    failed = False
    for case in CASES:
        if names and case.framework.lower() not in names:
            continue
        row = run(case, None if arguments.write else before.get(case.key))
        failed |= row is None or (not arguments.write and row.facts != before[case.key].facts)
        if row is None:
            continue
        rows[case.key] = row
        if arguments.write:
            write(table(rows))
    sys.stdout.write(table(rows))
    return 1 if failed else 0


def table(rows: Mapping[Key, Row]) -> str:
    """All rows that there are, in the order of the cases."""
    return rendered([rows[case.key] for case in CASES if case.key in rows], NOTES)


def run(case: Case, known: Row | None) -> Row | None:
    """The row, or None where it could not be had, with the reason on standard error."""
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="fleetd-", dir="/tmp") as short,
        tempfile.TemporaryDirectory(prefix="fleetd-field-") as root,
    ):
        fleetd = Fleetd(Path(short))
        try:
            with case.app(Path(root)) as app:
                try:
                    row = Scenario(fleetd, app, case.key, known=known).run()
                finally:
                    fleetd.end()
        except (AssertionError, subprocess.TimeoutExpired):
            sys.stderr.write(f"{', '.join(case.key)}:\n{traceback.format_exc(limit=-2)}{fleetd.daemon_log()}\n")
            return None
        except (pytest.skip.Exception, pytest.fail.Exception) as missing:
            sys.stderr.write(f"{', '.join(case.key)}: {missing}\n")
            return None
    sys.stderr.write(f"{', '.join(case.key)}: {time.monotonic() - began:.1f} s\n")
    return row


if __name__ == "__main__":
    sys.exit(main())
