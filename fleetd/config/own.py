"""The frameworks that pools may name: the shipped ones and those of [framework.NAME] tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fleetd.config.interpolation import Text
from fleetd.config.launches import OwnFramework, masked
from fleetd.config.ports import Framework, Frameworks
from fleetd.config.problems import Problem, Unfit
from fleetd.config.reader import Reader
from fleetd.config.tree import Node, dotted

# What is filled in at a spawn: there, a brace from the environment must not begin a placeholder.
_TEMPLATED = ("command", "env", "options")
_HIDDEN = "command"


class Known(Mapping[str, OwnFramework | None]):
    """All frameworks by name; None for one whose table is wrong.  A shipped one is read when it is asked for."""

    def __init__(self, own: Mapping[str, OwnFramework | None], shipped: Frameworks) -> None:
        self._own = own
        self._shipped = shipped

    def __getitem__(self, name: str) -> OwnFramework | None:
        if name in self._own:
            return self._own[name]
        framework = self._shipped.get(name)
        if framework is None:
            raise KeyError(name)
        return OwnFramework(framework, framework)

    def __iter__(self) -> Iterator[str]:
        yield from self._shipped.names()
        yield from self._own

    def __len__(self) -> int:
        return len(self._own) + len(self._shipped.names())


def read_frameworks(tables: Mapping[str, Node], shipped: Frameworks, reader: Reader) -> Known:
    """The frameworks that pools may name."""
    own: dict[str, OwnFramework | None] = {}
    for name, node in tables.items():
        if name in shipped.names():
            reader.problem(node, "is the name of a shipped framework", "choose another, and name it in the pool")
        else:
            own[name] = _define(name, node, shipped, reader)
    return Known(own, shipped)


def _define(name: str, node: Node, shipped: Frameworks, reader: Reader) -> OwnFramework | None:
    texts: list[Text] = []
    complaints_before = len(reader.problems)
    table = _plain(node, reader, texts, lambda text, templated: text.template if templated else text.value)
    if len(reader.problems) > complaints_before:
        return None
    defined = shipped.define(name, table)
    if isinstance(defined, Sequence):
        for complaint in defined:
            path = tuple(complaint.key.split("."))
            place = node.within(*path)
            reader.add(Problem(place.where, dotted((*node.path, *path)), _redacted(complaint.message, texts)))
        return None
    return OwnFramework(defined, _shown(name, node, shipped, reader, table) or defined)


def _shown(name: str, node: Node, shipped: Frameworks, reader: Reader, table: Mapping[str, Any]) -> Framework | None:
    """The framework with its command as written, masked."""
    if _HIDDEN not in node.value:
        return None
    command = _plain(node.value[_HIDDEN], reader, [], lambda text, _: masked(text.shown), templated=True)
    defined = shipped.define(name, {**table, _HIDDEN: command})
    return None if isinstance(defined, Sequence) else defined


def _plain(
    node: Node, reader: Reader, texts: list[Text], form: Callable[[Text, bool], str], *, templated: bool = False
) -> Any:
    """A tree as tomllib gives it, its strings filled in; what cannot be is noted."""
    if isinstance(node.value, dict):
        return {
            key: _plain(each, reader, texts, form, templated=templated or key in _TEMPLATED)
            for key, each in node.value.items()
        }
    if isinstance(node.value, list):
        return [_plain(each, reader, texts, form, templated=templated) for each in node.value]
    if not isinstance(node.value, str):
        return node.value
    try:
        text = reader.text(node)
    except Unfit as unfit:
        reader.problem(node, unfit.message, unfit.remedy)
        return node.value
    texts.append(text)
    return form(text, templated)


def _redacted(message: str, texts: list[Text]) -> str:
    """A message in which what came from the environment is as written."""
    for text in texts:
        if text.interpolated and text.value:
            message = message.replace(text.value, text.shown)
    return message
