"""What went wrong between fleetd and a RabbitMQ, in one line for a person."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Generator
from contextlib import contextmanager

from fleetd.errors import FleetdError, UnreachableError

PATIENCE = 2.0  # seconds for a connection, and then for what is asked
ACCESS_REFUSED, NOT_ALLOWED = 403, 530
_UNKNOWN_HOST = "the host's name is not known"
_LONGEST = 200  # characters of a server's own words
_USER = re.compile(r" (?:for|by) user '[^']*'")


class LostError(UnreachableError):
    """A connection that was there has ended: worth another try, if it is an old one."""


@contextmanager
def told(where: object) -> Generator[None]:
    """Errors say what was asked, and time that ran out is an error for a person."""
    try:
        yield
    except TimeoutError:
        raise UnreachableError(f"{where}: no answer within {PATIENCE:g} s") from None
    except OSError as error:
        raise UnreachableError(f"{where}: {_no_connection(error)}") from None
    except UnicodeError:
        raise UnreachableError(f"{where}: {_UNKNOWN_HOST}") from None
    except UnreachableError as error:
        raise UnreachableError(f"{where}: {error}") from None
    except FleetdError as error:
        raise FleetdError(f"{where}: {error}") from None


def _no_connection(error: OSError) -> str:
    """Why there is no connection."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}): name its CA with cacertfile"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or 'closed'})"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused: nothing listens there"
    if isinstance(error, socket.gaierror):
        return _UNKNOWN_HOST
    words = (error.strerror or "unreachable").partition("(")[0]
    return ("unreachable" if words.startswith(("Connect call", "Multiple exceptions")) else words).lower()


def refused(code: int, words: str, vhost: str) -> FleetdError:
    """What to raise when the server ends a connection, by what it says."""
    if code == ACCESS_REFUSED:
        remote = " (guest may log in from the server's own host only)" if "via localhost" in words else ""
        return UnreachableError(f"refuses the user or the password{remote}")
    if code == NOT_ALLOWED and words.endswith("not found"):
        return UnreachableError(f"there is no vhost {vhost}")
    if code == NOT_ALLOWED and "connection limit" not in words:
        return UnreachableError(f"the user has no access to the vhost {vhost}")
    return LostError(f"the server ended the connection: {shown(words)}")


def shown(words: str) -> str:
    """A server's words on one line, without the user's name."""
    return "".join(letter if letter.isprintable() else " " for letter in _USER.sub("", words))[:_LONGEST].strip()
