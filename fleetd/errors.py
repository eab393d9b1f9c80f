"""The errors a person may see, each with the exit code of the contract."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    FAILED = 1
    INVALID = 2
    NOT_FOUND = 3
    UNREACHABLE = 4
    TIMED_OUT = 5
    INTERRUPTED = 130


class FleetdError(Exception):
    """A failure with one line for a person: what and where, and what to do."""

    exit_code = ExitCode.FAILED


class UsageError(FleetdError):
    """The call or the configuration is wrong."""

    exit_code = ExitCode.INVALID


class NotFoundError(FleetdError):
    """No such daemon, pool, worker or live member."""

    exit_code = ExitCode.NOT_FOUND


class UnreachableError(FleetdError):
    """Redis or a broker is out of reach."""

    exit_code = ExitCode.UNREACHABLE


class WaitTimeoutError(FleetdError):
    """The time to wait ran out; the work itself goes on."""

    exit_code = ExitCode.TIMED_OUT
