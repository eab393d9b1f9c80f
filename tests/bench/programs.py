"""Compiling the worker and the floor."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SOURCES = Path(__file__).with_name("programs")


class MissingError(Exception):
    """Something that a measurement needs is not on this machine."""


def compiled(name: str, directory: Path) -> Path:
    """The program of programs/`name`.c below `directory`, compiled anew if the source is younger.

    Raises MissingError without a C compiler.
    """
    source, program = SOURCES / f"{name}.c", directory / name
    newest = max(file.stat().st_mtime for file in (source, SOURCES / "board.h"))
    if program.exists() and program.stat().st_mtime > newest:
        return program
    compiler = shutil.which("cc")
    if compiler is None:
        raise MissingError("no C compiler: install one (Debian: apt-get install gcc libc6-dev)")
    directory.mkdir(parents=True, exist_ok=True)
    command = [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(program), str(source)]
    # Where there is no static libc the worker starts a little slower, for every supervisor alike.
    if subprocess.run([*command, "-static"], check=False, capture_output=True).returncode:
        subprocess.run(command, check=True)
    return program
