"""Which sink the output of a slot goes to, as its pool's `log` table says, and what the sinks share."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from msgspec import Struct, field

from fleetd.core.spec import LogSpec, LogTarget
from fleetd.shell.compression import Compressor
from fleetd.shell.formats import format_of
from fleetd.shell.journald import SOCKET, Journald, ToJournald
from fleetd.shell.logfile import LogFile
from fleetd.shell.outlet import Outlet
from fleetd.shell.sinks import LineFile, Nowhere, RawFile, Sink
from fleetd.shell.standard_output import StandardOutput, ToStandardOutput


class Surroundings(Struct):
    """What of the daemon's own the output of workers may go to; `before_stdout` is called before each write there."""

    stdout: Outlet = field(default_factory=lambda: Outlet(1))
    before_stdout: Callable[[], None] = lambda: None
    journald: Path = SOCKET


class Targets:
    """The sinks of one instance, whose logs are in `directory`; `clock` gives Unix seconds.

    `on_change` is called when runs whose lines were refused should try again.
    """

    def __init__(
        self,
        directory: Path,
        clock: Callable[[], float],
        on_change: Callable[[], None],
        surroundings: Surroundings,
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._on_change = on_change
        self._surroundings = surroundings
        self._compressor = Compressor()

    def path(self, worker: str) -> Path:
        """Where the log file of a worker is, or would be."""
        pool, _, slot = worker.rpartition(":")
        return self._directory / f"{pool}-{slot}.log"

    def log_file(self, worker: str, owner: tuple[int, int] | None) -> LogFile:
        """A worker's log file, not opened yet; a new one gets this owner."""
        return LogFile(self.path(worker), max_size=0, keep=1, owner=owner)

    def sink(self, worker: str, spec: LogSpec, log: LogFile) -> Sink:
        """Where the output of a worker goes; `log` is its file, for the case that it goes there."""
        form = format_of(spec.format, worker, self._clock)
        match spec.to:
            case LogTarget.FILES:
                log.max_size, log.keep = spec.max_size, spec.keep
                log.is_torn = form.is_torn if form.by_line else None
                log.on_rotated = self._compressor.add if spec.compress else None
                if spec.compress:
                    self._compressor.add(log.predecessors)  # what an earlier daemon did not come to
                return LineFile(log, form) if form.by_line else RawFile(log, form)
            case LogTarget.STDOUT:
                return ToStandardOutput(self._stdout, form)
            case LogTarget.JOURNAL:
                return ToJournald(self._journald, self._directory.name, worker)
            case LogTarget.NONE:
                return Nowhere()

    def close(self) -> None:
        """Let go of what the sinks share."""
        self._compressor.close()
        for shared in ("_stdout", "_journald"):
            if shared in self.__dict__:
                getattr(self, shared).close()

    @cached_property
    def _stdout(self) -> StandardOutput:
        return StandardOutput(self._surroundings.stdout, self._on_change, self._surroundings.before_stdout)

    @cached_property
    def _journald(self) -> Journald:
        return Journald(self._on_change, self._surroundings.journald)
