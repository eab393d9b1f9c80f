"""The few methods of AMQP 0-9-1 that it takes to look at queues, as bytes: to write, and to read.

The protocol is as it was in 2008.  Libraries for it ask one thing after the other on a channel, and refuse some names
that RabbitMQ takes; here all questions of a read are on their way at once.
"""

from __future__ import annotations

import struct

from msgspec import Struct

HEADER = b"AMQP\x00\x00\x09\x01"  # what a client says first
START, START_OK, TUNE, TUNE_OK, OPEN, OPEN_OK, CLOSE, CLOSE_OK = (
    10 << 16 | n for n in (10, 11, 30, 31, 40, 41, 50, 51)
)
OPEN_CHANNEL, CHANNEL_OPENED, CLOSE_CHANNEL, CHANNEL_CLOSED = (20 << 16 | n for n in (10, 11, 40, 41))
DECLARE, DECLARED = (50 << 16 | n for n in (10, 11))
METHOD, HEARTBEAT = 1, 8  # types of frames
LONGEST = 255  # bytes of a name

_START, _END = struct.Struct(">BHI"), b"\xce"
START_SIZE = _START.size
_PASSIVE = 1
# Without the capability, RabbitMQ hangs up on a wrong password as a network that fails does.
_CAPABILITY = b"\x1cauthentication_failure_closet\x01"
_VERSION = b"\x07versionS"


class Method(Struct, frozen=True):
    """A method that has come: which (one of the numbers above), on which channel, and its arguments."""

    name: int
    channel: int
    arguments: bytes


class Refusal(Struct, frozen=True):
    """Why the server ends a channel or the connection."""

    code: int
    words: str


class Size(Struct, frozen=True):
    """A queue as AMQP tells of it: messages that nobody has fetched, and consumers."""

    ready: int
    consumers: int


def written(name: int, arguments: bytes = b"", channel: int = 0) -> bytes:
    """A method in its frame."""
    return _START.pack(METHOD, channel, 4 + len(arguments)) + name.to_bytes(4, "big") + arguments + _END


def log_in(user: str, password: str) -> bytes:
    """The answer to START."""
    properties = _short("product") + b"S" + _long(b"fleetd")
    properties += _short("capabilities") + b"F" + _long(_CAPABILITY)
    response = f"\0{user}\0{password}".encode()
    return written(START_OK, _long(properties) + _short("PLAIN") + _long(response) + _short("en_US"))


def tuned(tune: Method) -> bytes:
    """The answer to TUNE: agreed, but without heartbeats, since nobody waits between two reads."""
    channels, frame, _ = struct.unpack_from(">HIH", tune.arguments)
    return written(TUNE_OK, struct.pack(">HIH", channels, frame, 0))


def open_vhost(name: str) -> bytes:
    """The last step of the login."""
    return written(OPEN, _short(name) + b"\0\0")


def open_channel(channel: int) -> bytes:
    """Begin a channel."""
    return written(OPEN_CHANNEL, b"\0", channel)


def close_channel(channel: int) -> bytes:
    """End a channel."""
    return written(CLOSE_CHANNEL, struct.pack(">HxHH", 200, 0, 0), channel)


def close() -> bytes:
    """End the connection."""
    return written(CLOSE, struct.pack(">HxHH", 200, 0, 0))


def ask_for(queue: str, channel: int) -> bytes:
    """A declaration that declares nothing: it is answered by the queue's size."""
    return written(DECLARE, b"\0\0" + _short(queue) + bytes([_PASSIVE]) + _long(b""), channel)


def frame_start(start: bytes) -> tuple[int, int, int]:
    """Type, channel, and how many bytes follow, from the first START_SIZE bytes of a frame."""
    kind, channel, size = _START.unpack(start)
    return kind, channel, size + 1


def read(channel: int, rest: bytes) -> Method:
    """The method in a frame; raises ValueError for what is none."""
    if len(rest) <= 4 or rest[-1:] != _END:  # noqa: PLR2004 - class and method
        raise ValueError
    return Method(int.from_bytes(rest[:4], "big"), channel, rest[4:-1])


def channel_limit(tune: Method) -> int:
    """How many channels may be open at once."""
    return int.from_bytes(tune.arguments[:2], "big") or 0xFFFF


def version(start: Method) -> str | None:
    """RabbitMQ's version, by START."""
    _, found, rest = start.arguments.partition(_VERSION)
    return rest[4 : 4 + int.from_bytes(rest[:4], "big")].decode("ascii", "replace") if found else None


def size(declared: Method) -> Size:
    """The answer to `ask_for`; raises ValueError where it makes no sense."""
    try:
        return Size(*struct.unpack_from(">II", declared.arguments, 1 + declared.arguments[0]))
    except (struct.error, IndexError):
        raise ValueError from None


def refusal(closing: Method) -> Refusal:
    """What CLOSE or CLOSE_CHANNEL says; raises ValueError where it makes no sense."""
    arguments = closing.arguments
    if len(arguments) < 3:  # noqa: PLR2004 - the code, and the length of the words
        raise ValueError
    return Refusal(int.from_bytes(arguments[:2], "big"), arguments[3 : 3 + arguments[2]].decode(errors="replace"))


def _short(text: str) -> bytes:
    data = text.encode()
    return bytes([len(data)]) + data


def _long(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data
