"""Environment files: KEY=VALUE lines, read with the worker's identity.

Imports nothing of fleetd: `fleetd/preload.py` runs it by its path.
"""

from __future__ import annotations

import errno
import os
import stat

ENV_FILE_BYTES = 1 << 20


class EnvFileError(Exception):
    """An environment file cannot be read: why (an errno or a few words), and in which line."""

    def __init__(self, reason: int | str, line: int | None = None) -> None:
        super().__init__(reason, line)
        self.reason = reason
        self.line = line


def read_env_file(path: str) -> dict[str, str]:
    """The variables of a file of KEY=VALUE lines.

    Empty lines, lines that begin with # and a leading `export` are skipped; values may stand in single quotes (taken
    as they are) or double quotes (backslash escapes n, t, ", $ and itself); ` #` ends an unquoted value.

    Raises:
        EnvFileError: with the line's number, never its text.

    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise EnvFileError("is not a regular file")
            data = file.read(ENV_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        raise EnvFileError(getattr(error, "errno", None) or errno.EINVAL) from error
    if len(data) > ENV_FILE_BYTES:
        raise EnvFileError("is larger than 1 MiB")
    variables: dict[str, str] = {}
    for number, line in enumerate(data.split(b"\n"), 1):
        try:
            variables.update(read_env_line(line))
        except ValueError as problem:  # UnicodeDecodeError is one, and its text would show the line
            text = "is not UTF-8" if isinstance(problem, UnicodeError) else str(problem)
            raise EnvFileError(text, number) from None
    return variables


def read_env_line(line: bytes) -> dict[str, str]:
    """The one variable of a line, or none.

    Raises:
        ValueError: what is wrong, without the text.

    """
    text = line.decode().strip()
    if not text or text.startswith("#"):
        return {}
    name, equals, value = text.removeprefix("export ").partition("=")
    name, value = name.strip(), value.strip()
    if not equals:
        raise ValueError("has no =")
    if not (name.isidentifier() and name.isascii()):
        raise ValueError("has no valid name before the =")
    if "\0" in value:
        raise ValueError("holds a NUL byte")
    if value[:1] in {'"', "'"}:
        return {name: unquote(value)}
    return {name: "" if value.startswith("#") else value.partition(" #")[0].rstrip()}


def unquote(value: str) -> str:
    """The text between quotes.

    Raises:
        ValueError: the quote is not closed, or something follows it.

    """
    quote, taken, position = value[0], [], 1
    while position < len(value) and value[position] != quote:
        if quote == '"' and value[position] == "\\" and value[position + 1 : position + 2]:
            position += 1
            taken.append({"n": "\n", "t": "\t"}.get(value[position], value[position]))
        else:
            taken.append(value[position])
        position += 1
    if position >= len(value):
        raise ValueError("has a quote that is not closed")
    rest = value[position + 1 :].strip()
    if rest and not rest.startswith("#"):
        raise ValueError("has text after the closing quote")
    return "".join(taken)
