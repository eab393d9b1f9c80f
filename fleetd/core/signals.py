"""Linux signal numbers by name: the same on every architecture that fleetd runs on (signal(7), x86 and ARM column)."""

from __future__ import annotations

_NAMES = [
    "HUP",
    "INT",
    "QUIT",
    "ILL",
    "TRAP",
    "ABRT",
    "BUS",
    "FPE",
    "KILL",
    "USR1",
    "SEGV",
    "USR2",
    "PIPE",
    "ALRM",
    "TERM",
    "STKFLT",
    "CHLD",
    "CONT",
    "STOP",
    "TSTP",
    "TTIN",
    "TTOU",
    "URG",
    "XCPU",
    "XFSZ",
    "VTALRM",
    "PROF",
    "WINCH",
    "IO",
    "PWR",
    "SYS",
]
_NUMBERS = {name: number for number, name in enumerate(_NAMES, start=1)}
_REALTIME_FIRST, _REALTIME_LAST = 34, 64

NAMES: tuple[str, ...] = tuple(_NAMES)


def number_of(name: str) -> int | None:
    """The number of a signal given as "TERM", "SIGTERM", "sigterm", "RTMIN+2" or "15"; None if there is none."""
    plain = name.strip().upper().removeprefix("SIG")
    if plain in _NUMBERS:
        return _NUMBERS[plain]
    if plain.isascii() and plain.isdigit() and _exists(int(plain)):
        return int(plain)
    if plain.startswith("RTMIN+") and plain[6:].isdigit():
        number = _REALTIME_FIRST + int(plain[6:])
        if number <= _REALTIME_LAST:
            return number
    return None


def name_of(number: int) -> str:
    """The name of a signal without SIG ("TERM"); a number that has none comes back as its digits."""
    if 1 <= number <= len(_NAMES):
        return _NAMES[number - 1]
    if _REALTIME_FIRST <= number <= _REALTIME_LAST:
        return f"RTMIN+{number - _REALTIME_FIRST}"
    return str(number)


def _exists(number: int) -> bool:
    return 1 <= number <= len(_NAMES) or _REALTIME_FIRST <= number <= _REALTIME_LAST
