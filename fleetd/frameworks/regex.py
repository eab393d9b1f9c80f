"""Judging a user's regular expression before it meets hostile output: what could make it slow is refused.

Python's `re` backtracks.  What makes that explode is known (Weideman et al., "Analyzing Matching Time Behavior of
Backtracking Regular Expression Matchers", 2016): a repeat in a repeat, or alternatives in a repeat that begin alike,
take exponential time; k repeats that can run over the same text take time of degree k, or where each is short, of the
product of their lengths.  The expression is read here by a small parser of its own, since the standard library's is
private; what an atom matches is asked of `re` itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from msgspec import Struct

GROUPS = ("id", "name", "queue", "runtime", "enqueued_at")
MOST_DEGREE = 2
MOST_WAYS = {1: 1000, 2: 4}  # by degree: the longest line takes below a second

_ANY = (1 << 256) - 1
_SHORT = 32  # a repeat of at most this many adds no degree, but ways
_QUANTIFIER = re.compile(r"(?:([*+?])|\{(\d*)(,?)(\d*)\})([?+]?)", re.ASCII)
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|[0-7]{3}|.)", re.DOTALL)
_OPENING = re.compile(r"\((?:\?(?:P<(\w+)>|([:>])|(<?[=!])|i:))?", re.ASCII)
_ZERO_WIDTH = frozenset({"^", "$", r"\b", r"\B", r"\A", r"\Z"})


class _Atom(Struct, frozen=True):
    """One byte out of a set, given as the bits of a number; or an assertion, which takes no room."""

    matches: int
    assertion: bool = False
    anchor: bool = False


class _Repeat(Struct, frozen=True):
    """`low` to `high` times (None: without end); possessive ones never give back."""

    body: _Node
    low: int
    high: int | None
    possessive: bool

    @property
    def long(self) -> bool:
        """Whether how often it matches can vary widely."""
        return self.low != self.high and (self.high is None or self.high > _SHORT)


class _Sequence(Struct, frozen=True):
    items: tuple[_Node, ...]


class _Choice(Struct, frozen=True):
    branches: tuple[_Node, ...]


class _Look(Struct, frozen=True):
    """What must, or must not, stand here; it takes no room, and a search never comes back into it."""

    body: _Node
    required: bool  # what follows begins as the body does


_Node = _Atom | _Repeat | _Sequence | _Choice | _Look


class _NotAllowedError(Exception):
    """The expression uses what cannot be judged; the message says what."""


def problems(expression: str, groups: tuple[str, ...] = GROUPS) -> list[str]:
    """What is wrong with an expression, one sentence each; none if it may be used.  `groups` are those it may have."""
    try:
        compiled = re.compile(expression.encode())
    except re.error as error:
        return [f"is no regular expression: {error}"]
    found = [
        f"has a group {group}: only {', '.join(groups)} {'have' if groups[1:] else 'has'} a meaning"
        for group in compiled.groupindex
        if group not in groups
    ]
    try:
        tree = _parse(expression)
    except _NotAllowedError as error:
        return [*found, str(error)]
    if any(_explodes(repeat) for repeat in _repeats(tree)):
        found.append(
            "has nested quantifiers or like alternatives in a repeat, which can take exponential time: "
            "make the inner part possessive (a++) or of a fixed length"
        )
    elif _is_slow(tree):
        found.append(
            "has too many repeats that can run over the same text: begin it with ^, or let each stop at what follows "
            r"([^\]]+\] instead of .+\])"
        )
    return found


def degree(expression: str) -> int:
    """The degree of the polynomial that bounds the time of a search; 1 is linear.  Raises ValueError if not judged."""
    try:
        tree = _parse(expression)
    except _NotAllowedError as error:
        raise ValueError(str(error)) from error
    return _degree(tree)


def _degree(tree: _Node) -> int:
    return max(1, _overlaps(tree, 0)[1] + (0 if _anchored(tree) else 1))


def _is_slow(tree: _Node) -> bool:
    grade = _degree(tree)
    return grade > MOST_DEGREE or _ways(tree, 0)[1] > MOST_WAYS[grade]


class _Parser:
    """Recursive descent over the text of an expression that `re` has accepted."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def choice(self) -> _Node:
        branches = [self.sequence()]
        while self.peek() == "|":
            self.at += 1
            branches.append(self.sequence())
        return branches[0] if len(branches) == 1 else _Choice(tuple(branches))

    def sequence(self) -> _Sequence:
        items: list[_Node] = []
        while self.peek() not in {"", "|", ")"}:
            item = self.repeat(self.item())
            items += item.items if isinstance(item, _Sequence) else (item,)
        return _Sequence(tuple(items))

    def item(self) -> _Node:
        if self.peek() == "(":
            return self.group()
        for form in (_CLASS, _ESCAPE):
            match = form.match(self.text, self.at)
            if match:
                self.at = match.end()
                return _atom(match[0])
        self.at += 1
        return _atom(self.text[self.at - 1])

    def group(self) -> _Node:
        opening = _OPENING.match(self.text, self.at)
        assert opening is not None
        if self.text.startswith("?", opening.end()):
            raise _NotAllowedError("may use only the groups (…), (?:…), (?>…), (?P<name>…), (?i:…) and lookarounds")
        self.at = opening.end()
        body = self.choice()
        self.at += 1  # the closing parenthesis
        if opening[3]:
            return _Look(body, required=opening[3] == "=")
        return _Repeat(body, 1, 1, possessive=True) if opening[2] == ">" else body

    def repeat(self, body: _Node) -> _Node:
        match = _QUANTIFIER.match(self.text, self.at)
        if match is None or (match[1] is None and not (match[2] or match[4])):
            return body
        self.at = match.end()
        if match[1]:
            low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}[match[1]]
        else:
            low = int(match[2] or 0)
            high = low if not match[3] else int(match[4]) if match[4] else None
        return _Repeat(body, low, high, possessive=match[5] == "+")

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]


def _parse(expression: str) -> _Node:
    # As bytes, as it is matched: a letter outside ASCII is several atoms.
    return _Parser(expression.encode().decode("latin-1")).choice()


@cache
def _atom(text: str) -> _Atom:
    if text in _ZERO_WIDTH:
        return _Atom(_ANY, assertion=True, anchor=text in {"^", r"\A"})
    if text[0] == "\\" and text[1:2].isdigit() and text[1] != "0" and len(text) < 4:  # noqa: PLR2004 - \123 is octal
        raise _NotAllowedError(f"refers back to a group ({text}), which cannot be judged")
    compiled = re.compile(text.encode("latin-1"), re.DOTALL | re.IGNORECASE)
    return _Atom(sum(1 << byte for byte in range(256) if compiled.fullmatch(bytes((byte,)))))


def _repeats(node: _Node) -> Iterator[_Repeat]:
    """Every repeat in a node, the node itself included."""
    if isinstance(node, _Repeat):
        yield node
    for child in _children(node):
        yield from _repeats(child)


def _children(node: _Node) -> tuple[_Node, ...]:
    match node:
        case _Atom():
            return ()
        case _Repeat() | _Look():
            return (node.body,)
        case _Sequence():
            return node.items
        case _Choice():
            return node.branches


def _explodes(repeat: _Repeat) -> bool:
    """Whether a text can be divided among the rounds of a repeat in more than one way."""
    if repeat.possessive or (repeat.high is not None and repeat.high <= 1):
        return False
    if any(inner.low != inner.high and not inner.possessive for inner in _repeats(repeat.body)):
        return True
    return _ambiguous(repeat.body)


def _ambiguous(node: _Node) -> bool:
    """Whether two branches of some choice in a node can begin with the same byte, or one can be empty."""
    if isinstance(node, _Look):
        return False
    if isinstance(node, _Choice) and _begin_alike(node.branches):
        return True
    return any(_ambiguous(child) for child in _children(node))


def _begin_alike(branches: tuple[_Node, ...]) -> bool:
    seen = 0
    for branch in branches:
        first = _first(branch)
        if seen & first or _nullable(branch):
            return True
        seen |= first
    return False


def _first(node: _Node) -> int:
    """The bytes that a node can begin with; an assertion can fail at any."""
    match node:
        case _Atom():
            return node.matches
        case _Repeat() | _Look():
            return _first(node.body)
        case _Choice():
            return _union(_first(branch) for branch in node.branches)
        case _Sequence():
            return _first_of(node.items, 0)


def _first_of(items: tuple[_Node, ...], follow: int) -> int:
    """The bytes that a sequence can begin with, if `follow` comes after it."""
    for item in reversed(items):
        follow = _first(item) | (follow if _nullable(item) else 0)
    return follow


def _nullable(node: _Node) -> bool:
    """Whether a node can match the empty text without a condition."""
    match node:
        case _Atom():
            return False
        case _Repeat():
            return node.low == 0 or _nullable(node.body)
        case _Look():
            return not node.required or _nullable(node.body)
        case _Choice():
            return any(map(_nullable, node.branches))
        case _Sequence():
            return all(map(_nullable, node.items))


def _overlaps(node: _Node, follow: int) -> tuple[int, int]:
    """How many repeats can give back text to what follows: those that a search comes back to later, and the most."""
    match node:
        case _Atom():
            return 0, 0
        case _Look():
            return 0, _overlaps(node.body, 0)[1]
        case _Choice():
            branches = [_overlaps(branch, follow) for branch in node.branches]
            return max(later for later, _ in branches), max(most for _, most in branches)
        case _Sequence():
            later = most = last = 0
            for at, item in enumerate(node.items):
                of_item, most_of_item = _overlaps(item, _first_of(node.items[at + 1 :], follow))
                runs_again = later > 0 and _runs_on(item) and not _stopped(_all(item), node.items[last:at])
                most = max(most, later + max(most_of_item, int(runs_again)))
                later += of_item
                last = at + 1 if of_item else last
            return later, most
        case _Repeat():
            later, most = _overlaps(node.body, follow)
            later += node.long and not node.possessive and bool(_all(node.body) & follow)
            return later, max(later, most)


def _runs_on(node: _Node) -> bool:
    """Whether a node runs over a text of any length each time that a search comes to it, giving back or not."""
    return isinstance(node, _Repeat) and node.long


def _stopped(run: int, before: tuple[_Node, ...]) -> bool:
    """Whether something must stand before a run of these bytes that is none of them: no run begins in another then."""
    return any(_is_outside(node, run) for node in before)


def _is_outside(node: _Node, run: int) -> bool:
    match node:
        case _Atom():
            return not node.assertion and not node.matches & run
        case _Look():
            return False
        case _Repeat():
            return node.low > 0 and _is_outside(node.body, run)
        case _Choice():
            return all(_is_outside(branch, run) for branch in node.branches)
        case _Sequence():
            return any(_is_outside(item, run) for item in node.items)


def _ways(node: _Node, follow: int) -> tuple[int, int]:
    """In how many ways short repeats and like alternatives can share a text: those open to what follows, and the most.

    Long repeats are counted by `_overlaps`.
    """
    match node:
        case _Atom():
            return 1, 1
        case _Look():
            return 1, _ways(node.body, 0)[1]
        case _Choice():
            branches = [_ways(branch, follow) for branch in node.branches]
            laters = [later for later, _ in branches]
            later = sum(laters) if _begin_alike(node.branches) else max(laters)
            return later, max(later, *(most for _, most in branches))
        case _Sequence():
            later = most = 1
            for at, item in enumerate(node.items):
                of_item, most_of_item = _ways(item, _first_of(node.items[at + 1 :], follow))
                most = max(most, later * most_of_item)
                later *= of_item
            return later, most
        case _Repeat():
            later, most = _ways(node.body, follow)
            if not node.long and _all(node.body) & follow:
                later += (node.high or 0) - node.low
            return (1 if node.possessive else later), max(later, most)


def _all(node: _Node) -> int:
    """The bytes that can stand anywhere in what a node matches."""
    if isinstance(node, _Atom):
        return 0 if node.assertion else node.matches
    if isinstance(node, _Look):
        return 0
    return _union(_all(child) for child in _children(node))


def _union(sets: Iterator[int]) -> int:
    union = 0
    for members in sets:
        union |= members
    return union


def _anchored(node: _Node) -> bool:
    """Whether a match can begin at one place only."""
    match node:
        case _Sequence():
            return bool(node.items) and _anchored(node.items[0])
        case _Choice():
            return all(map(_anchored, node.branches))
        case _Repeat() | _Look():
            return False
        case _Atom():
            return node.anchor
