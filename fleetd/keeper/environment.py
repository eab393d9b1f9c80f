"""Environment files: KEY=VALUE lines, read with the worker's identity."""

from __future__ import annotations

import os
import stat

from fleetd.keeper.failure import StartError, stage

ENV_FILE_BYTES = 1 << 20


def read_env_file(path: str) -> dict[str, str]:
    """The variables of a file of KEY=VALUE lines.

    Empty lines, lines that begin with # and a leading `export` are skipped; values may stand in single quotes (taken
    as they are) or double quotes (backslash escapes n, t, ", $ and itself); ` #` ends an unquoted value.

    Raises:
        StartError: with the line's number, never its text.

    """
    with stage("env-file", path):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise StartError("env-file", "is not a regular file", path)
            data = file.read(ENV_FILE_BYTES + 1)
    if len(data) > ENV_FILE_BYTES:
        raise StartError("env-file", "is larger than 1 MiB", path)
    variables: dict[str, str] = {}
    for number, line in enumerate(data.split(b"\n"), 1):
        try:
            variables.update(read_env_line(line))
        except ValueError as problem:  # UnicodeDecodeError is one, and its text would show the line
            text = "is not UTF-8" if isinstance(problem, UnicodeError) else str(problem)
            raise StartError("env-file", text, path, number) from None
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
