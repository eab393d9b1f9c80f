"""A regular expression as a tree, read by a small parser of its own, since the standard library's is private.

What an atom matches is asked of `re` itself.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from functools import cache
from typing import AnyStr

from msgspec import Struct

ANY = (1 << 256) - 1
_SHORT = 32  # a repeat of at most this many does not count as a long one
_DEEPEST = 50  # groups in groups; `re` and what walks a tree recurse
_QUANTIFIER = re.compile(r"(?:([*+?])|\{(\d*)(,?)(\d*)\})([?+]?)", re.ASCII)
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|[0-7]{3}|.)", re.DOTALL)
_OPENING = re.compile(r"\((?:\?(?:P<(\w+)>|([:>])|(<?[=!])|i:))?", re.ASCII)
# A single byte's class at the beginning; only plain brackets may stand before it.
_LEADING = re.compile(rf"(?:\((?:\?P<\w+>|\?:)?)*({_CLASS.pattern}|{_ESCAPE.pattern}|[^\\\[\](){{}}?*+|^$])", re.DOTALL)
_ZERO_WIDTH = frozenset({"^", "$", r"\b", r"\B", r"\A", r"\Z"})


class Atom(Struct, frozen=True):
    """One byte out of a set, given as the bits of a number; or an assertion, which takes no room."""

    matches: int
    assertion: bool = False
    anchor: bool = False


class Repeat(Struct, frozen=True):
    """`low` to `high` times (None: without end); possessive ones never give back."""

    body: Node
    low: int
    high: int | None
    possessive: bool

    @property
    def long(self) -> bool:
        """Whether how often it matches can vary widely."""
        return self.low != self.high and (self.high is None or self.high > _SHORT)


class Sequence(Struct, frozen=True):
    """One after the other."""

    items: tuple[Node, ...]


class Choice(Struct, frozen=True):
    """One of several."""

    branches: tuple[Node, ...]


class Look(Struct, frozen=True):
    """What must, or must not, stand here; it takes no room, and a search never comes back into it."""

    body: Node
    required: bool  # what follows begins as the body does


Node = Atom | Repeat | Sequence | Choice | Look


class NotAllowedError(Exception):
    """The expression uses what cannot be judged; the message says what."""


def compiled(expression: AnyStr, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[AnyStr]:
    """The expression, without Python's warning that a later one may read it in another way.  Raises what `re` does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return re.compile(expression, flags)


class _Parser:
    """Recursive descent over the text of an expression that `re` has accepted."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    def choice(self) -> Node:
        branches = [self.sequence()]
        while self.peek() == "|":
            self.at += 1
            branches.append(self.sequence())
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def sequence(self) -> Sequence:
        items: list[Node] = []
        while self.peek() not in {"", "|", ")"}:
            item = self.repeat(self.item())
            items += item.items if isinstance(item, Sequence) else (item,)
        return Sequence(tuple(items))

    def item(self) -> Node:
        if self.peek() == "(":
            return self.group()
        for form in (_CLASS, _ESCAPE):
            match = form.match(self.text, self.at)
            if match:
                self.at = match.end()
                return _atom(match[0])
        self.at += 1
        return _atom(self.text[self.at - 1])

    def group(self) -> Node:
        opening = _OPENING.match(self.text, self.at)
        assert opening is not None
        if self.text.startswith("?", opening.end()):
            raise NotAllowedError("may use only the groups (…), (?:…), (?>…), (?P<name>…), (?i:…) and lookarounds")
        if self.depth == _DEEPEST:
            raise NotAllowedError(f"has groups in groups, more than {_DEEPEST} deep")
        self.at = opening.end()
        self.depth += 1
        body = self.choice()
        self.depth -= 1
        self.at += 1  # the closing parenthesis
        if opening[3]:
            return Look(body, required=opening[3] == "=")
        return Repeat(body, 1, 1, possessive=True) if opening[2] == ">" else body

    def repeat(self, body: Node) -> Node:
        match = _QUANTIFIER.match(self.text, self.at)
        if match is None or (match[1] is None and not (match[2] or match[4])):
            return body
        self.at = match.end()
        if match[1]:
            low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}[match[1]]
        else:
            low = int(match[2] or 0)
            high = low if not match[3] else int(match[4]) if match[4] else None
        return Repeat(body, low, high, possessive=match[5] == "+")

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]


def parse(expression: str) -> Node:
    """The tree of an expression that `re` has accepted.  Raises NotAllowedError."""
    # As bytes, as it is matched: a letter outside ASCII is several atoms.
    return _Parser(expression.encode().decode("latin-1")).choice()


@cache
def _atom(text: str) -> Atom:
    if text in _ZERO_WIDTH:
        return Atom(ANY, assertion=True, anchor=text in {"^", r"\A"})
    if text[0] == "\\" and text[1:2].isdigit() and text[1] != "0" and len(text) < 4:  # noqa: PLR2004 - \123 is octal
        raise NotAllowedError(f"refers back to a group ({text}), which cannot be judged")
    single = compiled(text.encode("latin-1"), re.DOTALL | re.IGNORECASE)
    return Atom(sum(1 << byte for byte in range(256) if single.fullmatch(bytes((byte,)))))


def repeats(node: Node) -> Iterator[Repeat]:
    """Every repeat in a node, the node itself included."""
    if isinstance(node, Repeat):
        yield node
    for child in children(node):
        yield from repeats(child)


def children(node: Node) -> tuple[Node, ...]:
    """What a node consists of."""
    match node:
        case Atom():
            return ()
        case Repeat() | Look():
            return (node.body,)
        case Sequence():
            return node.items
        case Choice():
            return node.branches


def first_bytes(node: Node) -> int:
    """The bytes that a node can begin with, as bits; an assertion can fail at any."""
    match node:
        case Atom():
            return node.matches
        case Repeat() | Look():
            return first_bytes(node.body)
        case Choice():
            return _union(first_bytes(branch) for branch in node.branches)
        case Sequence():
            return first_bytes_of(node.items, 0)


def first_bytes_of(items: tuple[Node, ...], follow: int) -> int:
    """The bytes that a sequence can begin with, if `follow` comes after it."""
    for item in reversed(items):
        follow = first_bytes(item) | (follow if nullable(item) else 0)
    return follow


def nullable(node: Node) -> bool:
    """Whether a node can match the empty text without a condition."""
    match node:
        case Atom():
            return False
        case Repeat():
            return node.low == 0 or nullable(node.body)
        case Look():
            return not node.required or nullable(node.body)
        case Choice():
            return any(map(nullable, node.branches))
        case Sequence():
            return all(map(nullable, node.items))


def all_bytes(node: Node) -> int:
    """The bytes that can stand anywhere in what a node matches, as bits."""
    if isinstance(node, Atom):
        return 0 if node.assertion else node.matches
    if isinstance(node, Look):
        return 0
    return _union(all_bytes(child) for child in children(node))


def _union(sets: Iterator[int]) -> int:
    together = 0
    for members in sets:
        together |= members
    return together


def is_anchored(node: Node) -> bool:
    """Whether a match can begin at one place only."""
    match node:
        case Sequence():
            return bool(node.items) and is_anchored(node.items[0])
        case Choice():
            return all(map(is_anchored, node.branches))
        case Repeat() | Look():
            return False
        case Atom():
            return node.anchor


def leading_run(expression: str, tree: Node) -> str | None:
    """The single byte's class that an expression repeats without end at its beginning, as it is written; or None.

    Only a run that is never empty: where `x*` is, a match can begin at any place.  One of any byte is at the end only.
    """
    match tree:
        case Sequence(items=(Repeat(Atom(matches, assertion=False), low, None), *_)) if low or matches == ANY:
            text = _LEADING.match(expression)
            return text and text[1]
        case _:
            return None
