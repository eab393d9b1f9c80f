"""On what a benchmark was run: figures of different machines cannot be compared."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any


def facts() -> dict[str, Any]:
    """Kernel, processors, memory and versions."""
    return {
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "processor": _first("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory_kb": int(_first("/proc/meminfo", "MemTotal").split()[0]),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "commit": _commit(),
    }


def _first(file: str, name: str) -> str:
    for line in Path(file).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "0"


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=Path(__file__).parent, check=False, capture_output=True, text=True)
    return done.stdout.strip() or None
