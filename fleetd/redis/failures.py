"""What went wrong between fleetd and a Redis, in one line for a person."""

from __future__ import annotations

import errno
import re
import ssl
from collections.abc import Iterator

from redis import exceptions as redis_errors

from fleetd.errors import FleetdError, UnreachableError

ACL_HINT = "give it what docs/redis.md lists, or is it the name of another fleet?"  # where no other advice is given
_LONGEST = 200  # characters of a server's own words

# Answers of a server that cannot be asked now, though another one or a later moment may do.
_TURNED_AWAY: dict[type[Exception], str] = {
    redis_errors.ReadOnlyError: "READONLY",
    redis_errors.BusyLoadingError: "LOADING",
    redis_errors.MasterDownError: "MASTERDOWN",
    redis_errors.ClusterDownError: "CLUSTERDOWN",
    redis_errors.TryAgainError: "TRYAGAIN",
    redis_errors.AskError: "ASK",
    redis_errors.OutOfMemoryError: "OOM",
}
# The same as text: not every redis-py has a class for each, and before Redis 7 they come wrapped in "ERR Error running
# script".
_TURNED_AWAY_CODES = re.compile(
    r"(?:^|[\s-])(READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|NOREPLICAS|TRYAGAIN|ASK|MISCONF|BUSY|OOM|UNBLOCKED)\b"
)
_FORBIDDEN = re.compile(
    r"no permissions to run the '([^']+)' command|(?:no permissions|can't run|can't access)", re.IGNORECASE
)


_REDIRECTED = re.compile(r"(?:MOVED |ASK )?[0-9]+ (.*):([0-9]+)")


def moved_to(error: Exception) -> tuple[str, int] | None:
    """The host ("": the same) and port that a node of a Cluster sends us to; None: the error is another."""
    is_moved = isinstance(error, redis_errors.MovedError) or str(error).startswith("MOVED ")
    match = _REDIRECTED.fullmatch(str(error)) if is_moved else None
    return None if match is None else (match[1], int(match[2]))


def asked_at(error: Exception) -> tuple[str, int] | None:
    """The same for one command, while its key may be on its way to that node (ASK)."""
    # redis-py derives its MovedError from its AskError; before 6 neither is known to its parser.
    is_ask = isinstance(error, redis_errors.AskError) or str(error).startswith("ASK ")
    is_ask = is_ask and moved_to(error) is None
    match = _REDIRECTED.fullmatch(str(error)) if is_ask else None
    return None if match is None else (match[1], int(match[2]))


def is_turned_away(error: Exception) -> bool:
    """Whether the server asked is no good now, and should be looked for anew."""
    if isinstance(error, tuple(_TURNED_AWAY)):
        return True
    return isinstance(error, redis_errors.ResponseError) and _TURNED_AWAY_CODES.search(str(error)) is not None


def explain(error: Exception, label: str, advice: str = ACL_HINT) -> FleetdError:
    """The error to raise instead: UnreachableError, but for an answer that is an error of sense.

    `label` begins its text: which of several servers is meant.  `advice` ends it where a permission is missing.
    """
    if isinstance(error, redis_errors.AuthenticationError):
        return UnreachableError(f"{label}{_login_trouble(error)}")
    if moved_to(error) is not None:  # who expects that has followed it
        return UnreachableError(f"{label}is a node of a Cluster: begin the URL with redis+cluster://")
    if is_turned_away(error):
        return UnreachableError(f"{label}{_turned_away(error)}")
    if isinstance(error, redis_errors.ResponseError):
        return _refused(error, label, advice)
    if isinstance(error, redis_errors.InvalidResponse):
        return UnreachableError(f"{label}what answers there is not Redis")
    return UnreachableError(f"{label}{_no_connection(error)}")


def explain_login(error: Exception, label: str, advice: str = ACL_HINT) -> FleetdError:
    """The same for the first words of a connection, where a server's own words may repeat the password."""
    if isinstance(error, redis_errors.ResponseError) and not is_turned_away(error):
        if "DB index" in str(error):
            return UnreachableError(f"{label}has no such database")
        if not isinstance(error, redis_errors.AuthenticationError | redis_errors.NoPermissionError):
            return UnreachableError(f"{label}does not understand the login")
    return explain(error, label, advice)


def _login_trouble(error: Exception) -> str:
    if "required" in str(error).lower():
        return "asks for a password: write user:password@ before the host"
    return "refuses the user or the password"


def _turned_away(error: Exception) -> str:
    code = _TURNED_AWAY_CODES.search(str(error))
    named = code[1] if code else _TURNED_AWAY.get(type(error), type(error).__name__)
    return f"takes no commands now ({named}: {_shown(error)})"


def _refused(error: Exception, label: str, advice: str) -> FleetdError:
    forbidden = _FORBIDDEN.search(str(error))
    if forbidden or isinstance(error, redis_errors.NoPermissionError):
        named = (
            f" {forbidden[1].upper()}" if forbidden and forbidden[1] else " a command, key or channel that fleetd needs"
        )
        return UnreachableError(f"{label}the user lacks the permission (NOPERM) for{named}: {advice}")
    return FleetdError(f"{label}Redis answered: {_shown(error)}")


def _no_connection(error: Exception) -> str:
    if isinstance(error, redis_errors.TimeoutError | TimeoutError):
        return "no answer"
    for cause in _chain(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message}): name its CA with ssl_ca_certs"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed ({cause.reason or 'closed'})"
        if isinstance(cause, OSError) and cause.errno not in {None, errno.ECONNRESET, errno.EPIPE}:
            return _system_error(cause)
    return "the connection was closed (a server that wants TLS does this, too: rediss://)"


def _system_error(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused: no Redis listens there"
    if isinstance(error, FileNotFoundError):
        return "no such socket"
    words = (error.strerror or "unreachable").partition("(")[0]
    return (words if not words.startswith("Connect call") else "unreachable").lower()


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def _shown(error: Exception) -> str:
    """A server's words on one line, without the arguments that it repeats."""
    words = re.split(r",? with args beginning with", str(error))[0]
    return "".join(letter if letter.isprintable() else " " for letter in words)[:_LONGEST].strip()
