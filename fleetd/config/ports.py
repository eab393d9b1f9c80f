"""What the configuration needs of the rest, passed in so that it stays pure: files, environment and frameworks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from fleetd.core.queues import Place
from fleetd.core.spec import LinePattern


class Source(Protocol):
    """The host, as far as reading pool files goes."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment that `${NAME}` is taken from."""
        ...

    def read(self, path: str) -> str:
        """The text of a file; raises OSError, or UnicodeDecodeError if it is not UTF-8."""
        ...

    def glob(self, pattern: str) -> Sequence[str]:
        """The existing paths that a pattern (or a plain path) names, sorted."""
        ...

    def same(self, path: str) -> str:
        """One spelling for all paths to the same file (absolute, symlinks resolved)."""
        ...


class Framework(Protocol):
    """A framework, as the configuration sees it; `fleetd.frameworks.framework.Framework` is the real one."""

    @property
    def name(self) -> str:
        """Its name in pool files."""
        ...

    @property
    def command(self) -> tuple[str, ...] | None:
        """Templates of the command line's arguments; None: the pool gives its own command."""
        ...

    @property
    def drain_signal(self) -> int | None:
        """The signal for "finish the job in hand, then exit"."""
        ...

    @property
    def pause_signal(self) -> int | None:
        """The signal for "take no new job"."""
        ...

    @property
    def resume_signal(self) -> int | None:
        """The signal that ends a pause."""
        ...

    @property
    def exit_codes(self) -> frozenset[int] | None:
        """Exit codes of planned exits; None: only 0."""
        ...

    @property
    def exit_reasons(self) -> Mapping[int, str]:
        """What exit codes mean, by the contract's exit reasons."""
        ...

    @property
    def patterns(self) -> tuple[LinePattern, ...]:
        """The output lines that mean something."""
        ...

    @property
    def ready_line(self) -> bool:
        """Whether its output surely tells that a worker is ready."""
        ...

    @property
    def reports_jobs(self) -> bool:
        """Whether its output surely tells of jobs."""
        ...

    @property
    def reports_starts(self) -> bool:
        """Whether its output surely tells that jobs have started."""
        ...

    @property
    def stop_timeout(self) -> float | None:
        """How long its workers may take to drain, in seconds."""
        ...

    @property
    def shutdown_timeout(self) -> float | None:
        """After how many seconds of a drain its workers give their jobs back, as far as the application alone says."""
        ...

    @property
    def jobs_at_once(self) -> int | None:
        """Jobs that one worker has in hand at most; None: not known."""
        ...

    @property
    def queues_by_name(self) -> bool:
        """Whether a start in a queue that is none of the pool's is no start."""
        ...

    @property
    def enforces(self) -> frozenset[str]:
        """Limits it enforces by its own flags: of max-jobs, job-timeout, max-memory, max-lifetime."""
        ...

    @property
    def python(self) -> bool:
        """Whether its command is a Python program, which can be preloaded."""
        ...

    @property
    def env(self) -> Mapping[str, str]:
        """Environment that its workers get beside the pool's."""
        ...

    @property
    def broker_env(self) -> str | None:
        """The variable in which its workers look for the broker's URL."""
        ...

    @property
    def options(self) -> Mapping[str, str | None]:
        """Its settings (a pool's `options`), with their defaults."""
        ...

    @property
    def option_meanings(self) -> Mapping[str, str]:
        """What each of its settings means."""
        ...

    @property
    def broker_kinds(self) -> frozenset[str]:
        """The kinds of brokers of which it says where queues stand."""
        ...

    def place(self, kind: str, queue: str, prefix: str | None) -> Place | None:
        """Where a queue stands in a kind of broker (redis, amqp, sqs, sql); None: nobody knows."""
        ...

    def command_line(
        self,
        *,
        queues: tuple[str, ...],
        max_jobs: int | None,
        job_timeout: float | None,
        max_memory: int | None,
        max_lifetime: float | None,
        options: Mapping[str, str | int | bool],
    ) -> tuple[str, ...]:
        """The arguments for a pool; `{slot} {pool} {host} {queues} {epoch}` are still to be filled in at a spawn.

        Queues are literal; options are template text: `{slot}` is meant, a literal brace is `{{`.
        """
        ...


class Complaint(Protocol):
    """What is wrong with a key of a framework's table."""

    @property
    def key(self) -> str:
        """Relative to the table, lists count from 0: "patterns.1.regex"."""
        ...

    @property
    def message(self) -> str:
        """What is wrong, and what to do."""
        ...


class Frameworks(Protocol):
    """The frameworks that are shipped, and the reader of those in a pool file."""

    def names(self) -> Sequence[str]:
        """The shipped frameworks."""
        ...

    def get(self, name: str) -> Framework | None:
        """A shipped framework."""
        ...

    def define(self, name: str, table: Mapping[str, Any]) -> Framework | Sequence[Complaint]:
        """A framework from a [framework.NAME] table, or everything that is wrong with it."""
        ...
