"""Judging a user's regular expression before it meets hostile output: what could make it slow is refused.

Python's `re` backtracks.  What makes that explode is known (Weideman et al., "Analyzing Matching Time Behavior of
Backtracking Regular Expression Matchers", 2016): a repeat in a repeat, or alternatives in a repeat that begin alike,
take exponential time; k repeats that can run over the same text take time of degree k, or where each is short, of the
product of their lengths.  A search is one more such repeat, of any byte, before an expression without an anchor.
"""

from __future__ import annotations

import re

from fleetd.frameworks.expression import (
    ANY,
    Atom,
    Choice,
    Look,
    Node,
    NotAllowedError,
    Repeat,
    Sequence,
    all_bytes,
    children,
    compiled,
    first_bytes,
    first_bytes_of,
    is_anchored,
    leading_run,
    nullable,
    parse,
    repeats,
)

GROUPS = ("id", "name", "queue", "runtime", "enqueued_at")
LONGEST = 4096  # characters: judging takes the square of them at worst
MOST_DEGREE = 2
# By degree: what is looked at of a line (lines.py) takes below 50 ms; some tenths of a second where a short repeat is
# tried in vain at each place of a long one, as in `[^x]*a{3,30}\db`.
MOST_WAYS = {1: 1000, 2: 4}

_Before = tuple[Node, ...] | None


def problems(expression: str, groups: tuple[str, ...] = GROUPS) -> list[str]:
    """What is wrong with an expression, one sentence each; none if it may be used.  `groups` are those it may have."""
    if len(expression) > LONGEST:
        return [f"is longer than {LONGEST} characters"]
    try:
        regex = compiled(expression.encode())
    except (re.error, OverflowError, RecursionError) as error:
        return [f"is no regular expression: {error}"]
    found = [
        f"has a group {group}: only {', '.join(groups)} {'have' if groups[1:] else 'has'} a meaning"
        for group in regex.groupindex
        if group not in groups
    ]
    try:
        tree = parse(expression)
    except NotAllowedError as error:
        return [*found, str(error)]
    if any(_explodes(repeat) for repeat in repeats(tree)):
        found.append(
            "has nested quantifiers or like alternatives in a repeat, which can take exponential time: "
            "make the inner part possessive (a++) or of a fixed length"
        )
    elif _is_slow(expression, tree):
        found.append(
            "has too many repeats that can run over the same text: begin it with ^, or let each stop at what follows "
            r"([^\]]+\] instead of .+\])"
        )
    return found


def degree(expression: str) -> int:
    """The degree of the polynomial that bounds the time of a search; 1 is linear.  Raises ValueError if not judged."""
    try:
        tree = parse(expression)
    except NotAllowedError as error:
        raise ValueError(str(error)) from error
    return _degree(expression, tree)


def searched(expression: str) -> str:
    r"""An expression that finds the same, and a run that it must begin with from the run's beginning only.

    `\w+ done` is tried at each letter of a long word, in time of degree 2.  Where it matches from one, it matches from
    the first as well, so that the others need no try.  Raises ValueError if the expression is not judged.
    """
    try:
        run = leading_run(expression, parse(expression))
    except NotAllowedError as error:
        raise ValueError(str(error)) from error
    return expression if run is None else f"(?<!{run}){expression}"


def _degree(expression: str, tree: Node) -> int:
    if is_anchored(tree):
        return max(1, _overlaps(tree, 0, None)[1])
    before: _Before = ()
    if leading_run(expression, tree) is not None:
        run = first_bytes(tree)
        if run == ANY:  # `.+` is tried at the beginning only
            return max(1, _overlaps(tree, 0, None)[1])
        before = (Atom(ANY & ~run),)
    return 1 + _overlaps(tree, 0, before)[1]


def _is_slow(expression: str, tree: Node) -> bool:
    grade = _degree(expression, tree)
    return grade > MOST_DEGREE or _ways(tree, 0)[1] > MOST_WAYS[grade]


def _explodes(repeat: Repeat) -> bool:
    """Whether a text can be divided among the rounds of a repeat in more than one way."""
    if repeat.possessive or (repeat.high is not None and repeat.high <= 1):
        return False
    if any(inner.low != inner.high and not inner.possessive for inner in repeats(repeat.body)):
        return True
    return _ambiguous(repeat.body)


def _ambiguous(node: Node) -> bool:
    """Whether two branches of some choice in a node can begin with the same byte, or one can be empty."""
    if isinstance(node, Look):
        return False
    if isinstance(node, Choice) and _begin_alike(node.branches):
        return True
    return any(_ambiguous(child) for child in children(node))


def _begin_alike(branches: tuple[Node, ...]) -> bool:
    seen = 0
    for branch in branches:
        begins = first_bytes(branch)
        if seen & begins or nullable(branch):
            return True
        seen |= begins
    return False


def _overlaps(node: Node, follow: int, before: _Before) -> tuple[int, int]:
    """How many repeats can give back text to what follows: those that a search comes back to later, and the most.

    `before`: what stands between the last repeat that a search comes back to and this node; None: it comes here once.
    """
    match node:
        case Atom():
            return 0, 0
        case Look():
            return 0, _overlaps(node.body, 0, before)[1]
        case Choice():
            branches = [_overlaps(branch, follow, before) for branch in node.branches]
            return max(later for later, _ in branches), max(most for _, most in branches)
        case Sequence():
            later = most = 0
            for at, item in enumerate(node.items):
                of_item, most_of_item = _overlaps(item, first_bytes_of(node.items[at + 1 :], follow), before)
                most = max(most, later + most_of_item)
                later += of_item
                before = _behind(item, before, gives_back=of_item > 0)
            return later, most
        case Repeat():
            later, most = _overlaps(node.body, follow, None if node.long else before)
            runs_again = node.long and before is not None and not _stopped(all_bytes(node), before)
            later += node.long and not node.possessive and bool(all_bytes(node.body) & follow)
            return later, max(later, most, int(runs_again))


def _behind(item: Node, before: _Before, *, gives_back: bool) -> _Before:
    """What stands before that which follows an item."""
    if isinstance(item, Atom) and item.anchor:
        return None
    if gives_back:
        return ()
    return None if before is None else (*before, item)


def _stopped(run: int, before: tuple[Node, ...]) -> bool:
    """Whether something must stand before a run of these bytes that is none of them: no run begins in another then."""
    return any(_is_outside(node, run) for node in before)


def _is_outside(node: Node, run: int) -> bool:
    match node:
        case Atom():
            return not node.assertion and not node.matches & run
        case Look():
            return False
        case Repeat():
            return node.low > 0 and _is_outside(node.body, run)
        case Choice():
            return all(_is_outside(branch, run) for branch in node.branches)
        case Sequence():
            return any(_is_outside(item, run) for item in node.items)


def _ways(node: Node, follow: int) -> tuple[int, int]:
    """In how many ways short repeats and like alternatives can share a text: those open to what follows, and the most.

    Long repeats are counted by `_overlaps`.
    """
    match node:
        case Atom():
            return 1, 1
        case Look():
            return 1, _ways(node.body, 0)[1]
        case Choice():
            branches = [_ways(branch, follow) for branch in node.branches]
            laters = [later for later, _ in branches]
            later = sum(laters) if _begin_alike(node.branches) else max(laters)
            return later, max(later, *(most for _, most in branches))
        case Sequence():
            later = most = 1
            for at, item in enumerate(node.items):
                of_item, most_of_item = _ways(item, first_bytes_of(node.items[at + 1 :], follow))
                most = max(most, later * most_of_item)
                later *= of_item
            return later, most
        case Repeat():
            later, most = _ways(node.body, follow)
            if not node.long and all_bytes(node.body) & follow:
                later += (node.high or 0) - node.low
            return (1 if node.possessive else later), max(later, most)
