"""The formats of worker output: how lines are written for people or programs, and how they are read back.

A format works on a whole chunk at once.  What it encodes is a line for each line, so that the two can be counted
against each other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from json.encoder import encode_basestring
from typing import Protocol

from fleetd.core.spec import LogFormat

STAMP = len("2026-11-23T21:14:05.123+00:00")
_STAMPS = (b"0000-00-00T00:00:00.000+00:00", b"0000-00-00T00:00:00.000-00:00")  # their shapes
_DIGITS = bytes.maketrans(b"123456789", b"000000000")

_LONGEST = 1024 * 1024  # bytes; longer than any line that a format makes of a chunk
_ESCAPED = bytes(code for code in range(32) if code != ord("\n")) + b'"\\'  # what a JSON string cannot hold as it is
_LINE_END = "\udc0a"  # stands for a line feed while the others are escaped; no decoded text has it


class Format(Protocol):
    """One way of writing output."""

    @property
    def by_line(self) -> bool:
        """Whether whole lines are written; else bytes as they come, moved by the kernel where that is possible."""
        ...

    def encode(self, chunk: bytes) -> bytes:
        """Lines of a worker, the last of which may lack its end, as they are written: all have their ends."""
        ...

    def decode(self, lines: bytes) -> bytes:
        """What the worker wrote, of whole lines that were written; lines of any other kind are left out."""
        ...

    def is_torn(self, before: bytes, rest: bytes) -> bool:
        """Whether the `rest` of a log, behind its last newline, can only be a line that a kill cut off in a write.

        `before` is the whole line that stands before it, b"" where there is none.
        """
        ...


class Raw:
    """What the worker wrote, and nothing else."""

    by_line = False

    def encode(self, chunk: bytes) -> bytes:
        """See `Format`."""
        return chunk if chunk.endswith(b"\n") else chunk + b"\n"

    def decode(self, lines: bytes) -> bytes:
        """See `Format`."""
        return lines

    def is_torn(self, before: bytes, rest: bytes) -> bool:  # noqa: ARG002 - see `Format`
        """See `Format`."""
        return False


class Prefix:
    """Each line with the local time (ISO 8601, ms, offset to UTC) and the worker before it; one time for a chunk."""

    by_line = True

    def __init__(self, worker: str, clock: Callable[[], float]) -> None:
        self._name = b" %b " % worker.encode()
        self._clock = clock

    def encode(self, chunk: bytes) -> bytes:
        """See `Format`."""
        prefix = _stamp(self._clock()) + self._name
        body = chunk[:-1] if chunk.endswith(b"\n") else chunk
        return b"%b%b\n" % (prefix, body.replace(b"\n", b"\n" + prefix))

    def decode(self, lines: bytes) -> bytes:
        """See `Format`."""
        start = STAMP + len(self._name)
        own = (line[start:] for line in _split(lines) if line.startswith(self._name, STAMP))
        return b"".join(line + b"\n" for line in own)

    def is_torn(self, before: bytes, rest: bytes) -> bool:
        """See `Format`."""
        return _is_torn(before, rest, b"", self._name)


class Json:
    """Each line as one JSON object with the fields `at` (as in `Prefix`), `worker` and `line`, always in UTF-8.

    Bytes that are no UTF-8 become U+FFFD.
    """

    by_line = True

    def __init__(self, worker: str, clock: Callable[[], float]) -> None:
        self._name = b'", "worker": %b, "line": "' % json.dumps(worker).encode()
        self._clock = clock

    def encode(self, chunk: bytes) -> bytes:
        """See `Format`."""
        prefix = _JSON_BEGINS + _stamp(self._clock()) + self._name
        body = chunk[:-1] if chunk.endswith(b"\n") else chunk
        if not _is_plain(body):
            text = body.decode(errors="replace").replace("\n", _LINE_END)
            body = encode_basestring(text)[1:-1].replace(_LINE_END, "\n").encode()
        return b"%b%b%b" % (prefix, body.replace(b"\n", _JSON_ENDS + prefix), _JSON_ENDS)

    def decode(self, lines: bytes) -> bytes:
        """See `Format`."""
        start, named = len(_JSON_BEGINS) + STAMP + len(self._name), len(_JSON_BEGINS) + STAMP
        ends = _JSON_ENDS[:-1]
        own = [
            line[start : -len(ends)]
            for line in _split(lines)
            if line.startswith(self._name, named) and line.endswith(ends)
        ]
        try:
            return _unescaped(b"\\n".join(own)) + b"\n" if own else b""
        except ValueError:  # a line that was cut off by a kill: the others count
            return b"".join(_unescaped_or_nothing(line) for line in own)

    def is_torn(self, before: bytes, rest: bytes) -> bool:
        """See `Format`."""
        return _is_torn(before, rest, _JSON_BEGINS, self._name)


_JSON_BEGINS = b'{"at": "'
_JSON_ENDS = b'"}\n'


def format_of(kind: LogFormat, worker: str, clock: Callable[[], float]) -> Format:
    """The format of a worker's log; `clock` gives Unix seconds."""
    if kind is LogFormat.RAW:
        return Raw()
    return Json(worker, clock) if kind is LogFormat.JSON else Prefix(worker, clock)


def decoded(form: Format, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What the worker wrote, of a log that is read in chunks that end anywhere; whole lines, except of raw output."""
    rest = b""
    for chunk in chunks:
        if not form.by_line:
            yield chunk
            continue
        lines, newline, rest = (rest + chunk).rpartition(b"\n")
        if len(rest) > _LONGEST:
            rest = b""  # it is no line of this format, however it ends
        if newline:
            yield form.decode(lines + newline)


def _stamp(now: float) -> bytes:
    return datetime.fromtimestamp(now, UTC).astimezone().isoformat(timespec="milliseconds").encode()


def _is_torn(before: bytes, rest: bytes, opening: bytes, name: bytes) -> bool:
    """A short rest may be of raw output, from before the format was changed: then what is before it is so, too."""
    length = len(opening) + STAMP + len(name)
    if len(before or rest) < length:
        return False
    return all(_begins(line[:length], opening, name) for line in (before or rest, rest))


def _begins(line: bytes, opening: bytes, name: bytes) -> bool:
    """Whether a line with its beginning in this form can begin like this."""
    end = len(opening) + STAMP
    shape = line[: len(opening)] + line[len(opening) : end].translate(_DIGITS) + line[end:]
    return any((opening + stamp + name).startswith(shape) for stamp in _STAMPS)


def _split(lines: bytes) -> list[bytes]:
    return lines.split(b"\n")


def _is_plain(chunk: bytes) -> bool:
    """Whether the chunk may stand in JSON strings as it is."""
    if len(chunk.translate(None, _ESCAPED)) != len(chunk):
        return False
    if not chunk.isascii():
        try:
            chunk.decode()
        except UnicodeDecodeError:
            return False
    return True


def _unescaped(text: bytes) -> bytes:
    return str(json.loads(b'"%b"' % text)).encode()


def _unescaped_or_nothing(line: bytes) -> bytes:
    with suppress(ValueError):
        return _unescaped(line) + b"\n"
    return b""
