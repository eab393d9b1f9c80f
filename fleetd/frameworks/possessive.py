"""Regular expressions that mean the same to every Python: possessive and atomic groups, written out.

Before CPython 3.11.5 a group that never gives back (`(?:…)++`, `(?>…)`) misses matches when its body backtracks
(gh-106052).  A lookahead that captures, followed by a reference to what it captured, is the same and always right.  A
possessive quantifier over a single character or class is right everywhere, and stays.
"""

from __future__ import annotations

import re

_PIECE = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?>|[()]|.", re.DOTALL)
_POSSESSIVE = re.compile(r"([*+?]|\{\d*,?\d*\})\+")


def written_out(expression: str) -> str:
    """The same expression without possessive and atomic groups; adds groups named `_0`, `_1` …"""
    written: list[str] = []
    opened: list[int] = []
    captures = at = 0
    while at < len(expression):
        piece = _PIECE.match(expression, at)
        assert piece is not None
        at = piece.end()
        written.append(piece[0])
        if piece[0] in {"(", "(?>"}:
            opened.append(len(written) - 1)
        elif piece[0] == ")" and opened:
            start = opened.pop()
            quantifier = _POSSESSIVE.match(expression, at)
            group = "".join(written[start:])
            if group.startswith("(?>"):
                group, captures = _held(group[3:-1], captures)
            if quantifier is not None:
                group, captures = _held(group + quantifier[1], captures)
                at = quantifier.end()
            written[start:] = [group]
    return "".join(written)


def is_anchored(expression: str) -> bool:
    """Whether an expression can match at the beginning only: it begins with `^`, and has no other branch."""
    depth = at = 0
    while at < len(expression):
        piece = _PIECE.match(expression, at)
        assert piece is not None
        at = piece.end()
        depth += (piece[0] in {"(", "(?>"}) - (piece[0] == ")")
        if piece[0] == "|" and depth == 0:
            return False
    return expression.startswith("^")


def _held(body: str, number: int) -> tuple[str, int]:
    return f"(?:(?=(?P<_{number}>{body}))(?P=_{number}))", number + 1
