"""Durations and sizes as people write them: "1h30m", "90s", "512MiB", "2GB"."""

from __future__ import annotations

import math
import re
from decimal import Decimal

from fleetd.core.spec import Bytes, Seconds

_MILLISECONDS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])\s*", re.ASCII)
_PLAIN = re.compile(r"\d+(?:\.\d+)?", re.ASCII)

_BINARY = {"TiB": 1 << 40, "GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10}
_DECIMAL = {"TB": 10**12, "GB": 10**9, "MB": 10**6, "kB": 10**3}
# K, M and G alone are 1024-based, as in systemd and php.ini.
_SHORT = {"T": 1 << 40, "G": 1 << 30, "M": 1 << 20, "K": 1 << 10, "B": 1}
_BYTES = {unit.lower(): factor for unit, factor in (_BINARY | _DECIMAL | _SHORT).items()}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.ASCII | re.IGNORECASE)

DURATION_PATTERN = r"^\s*(\d+(\.\d+)?|(\d+(\.\d+)?(ms|s|m|h|d)\s*)+)\s*$"
SIZE_PATTERN = r"^\s*\d+(\.\d+)?\s*([kKmMgGtT]([iI]?[bB])?|[bB])?\s*$"
LONGEST: Seconds = 10 * 365 * 86400.0  # more is a slip, and timers overflow somewhere beyond
LARGEST: Bytes = (1 << 63) - 1


def parse_duration(text: str) -> Seconds:
    """Seconds of "90", "90s", "15m", "1h30m", "250ms", "2d"; raises ValueError for anything else."""
    text = text.strip()
    if _PLAIN.fullmatch(text):
        seconds = Decimal(text)
    else:
        seconds, end = Decimal(0), 0
        while match := _DURATION.match(text, end):
            seconds += Decimal(match[1]) * _MILLISECONDS[match[2]] / 1000
            end = match.end()
        if not text or end != len(text):
            raise ValueError("not a duration")
    if not math.isfinite(float(seconds)):
        raise ValueError("not a duration")
    return float(seconds)


def format_duration(seconds: Seconds) -> str:
    """The shortest text that `parse_duration` reads as the same number of milliseconds: 5400 is "1h30m"."""
    rest = round(seconds * 1000)
    parts: list[str] = []
    for unit, factor in _MILLISECONDS.items():
        count, rest = divmod(rest, factor)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_size(text: str) -> Bytes:
    """Bytes of "1048576", "512MiB", "2GB", "1.5GiB", "128M" (1024-based); raises ValueError for anything else."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or (match[2] and match[2].lower() not in _BYTES):
        raise ValueError("not a size")
    return int(Decimal(match[1]) * _BYTES[match[2].lower() or "b"])


def format_size(size: Bytes) -> str:
    """The shortest text that `parse_size` reads as exactly this size: 536870912 is "512MiB", 2000000000 is "2GB"."""
    exact = [f"{size // factor}{unit}" for unit, factor in (_BINARY | _DECIMAL).items() if size and not size % factor]
    return min([*exact, f"{size}B"], key=len)
