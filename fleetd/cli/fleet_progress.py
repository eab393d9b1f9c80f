"""How a rollout goes, shown: a bar for each host on a terminal, a plain line for each change elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fleetd.cli.fleet_session import tell, warn
from fleetd.client.following import Audience
from fleetd.client.rollout_text import changes, standing
from fleetd.client.verdict import View
from fleetd.coordination.port import HostProgress, HostState
from fleetd.views.control_characters import made_visible

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_ROOM = 4  # lines of a terminal that are left for other than bars


@contextmanager
def shown(command: str, *, quiet: bool) -> Generator[Audience]:
    """Who is told; `quiet`: only of what went wrong, on standard error."""
    if quiet:
        yield Quiet(command)
    elif sys.stdout.isatty():
        with _bars(command) as bars:
            yield bars
    else:
        yield Lines(command)


class Quiet:
    """Shows no progress."""

    def __init__(self, command: str) -> None:
        self._command = command

    def look(self, view: View) -> None:
        """Nothing is shown."""

    def note(self, text: str) -> None:
        """One line on standard error."""
        warn(self._command, text)


class Lines(Quiet):
    """A line for each change."""

    def __init__(self, command: str) -> None:
        super().__init__(command)
        self._known: Mapping[str, HostProgress] = {}

    def look(self, view: View) -> None:
        """The lines of what has changed."""
        for line in changes(self._known, view.newest.hosts):
            tell(line)
        self._known = dict(view.newest.hosts)


class Bars:
    """A bar for each host; those that are done make room where the terminal has not enough."""

    def __init__(self, progress: Progress, command: str) -> None:
        self._progress = progress
        self._command = command
        self._tasks: dict[str, TaskID] = {}

    def look(self, view: View) -> None:
        """Every bar as it is now."""
        hosts = view.newest.hosts
        for name in sorted(hosts.keys() - self._tasks.keys()):
            self._tasks[name] = self._progress.add_task(made_visible(name), total=None, standing="")
        room = max(1, self._progress.console.size.height - _ROOM)
        order = sorted(hosts, key=lambda name: (_urgency(hosts[name]), name))
        for number, name in enumerate(order):
            self._show(name, hosts[name], visible=len(order) <= room or number < room)

    def _show(self, name: str, host: HostProgress, *, visible: bool) -> None:
        is_over = host.state is HostState.DONE
        total = max(1, host.total) if is_over else host.total or None
        done = total if is_over and total else host.done
        self._progress.update(
            self._tasks[name], total=total, completed=done, visible=visible, standing=made_visible(standing(host))
        )

    def note(self, text: str) -> None:
        """A line above the bars."""
        self._progress.console.print(f"{self._command}: {made_visible(text)}", markup=False, highlight=False)


def _urgency(host: HostProgress) -> int:
    order = (HostState.HALTED, HostState.ROLLING, HostState.WAITING, HostState.ASKED, HostState.DONE)
    return order.index(host.state)


@contextmanager
def _bars(command: str) -> Generator[Bars]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - on a terminal only

    # markup=False: what hosts are called or said must not be read as styles.
    name, standing_column = (
        TextColumn(f"{{{key}}}", markup=False) for key in ("task.description", "task.fields[standing]")
    )
    with Progress(name, BarColumn(), standing_column, TimeElapsedColumn(), transient=True) as progress:
        yield Bars(progress, command)
