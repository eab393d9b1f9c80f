"""From [[alert]] tables to alerts, one for each word; what contradicts itself is noted with the reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec import Struct, json
from msgspec.structs import replace

from fleetd.config.interpolation import Text
from fleetd.config.keys import ALERT
from fleetd.config.reader import Reader
from fleetd.config.tree import Node
from fleetd.core.alerts import MEANINGS, RECOVER_AFTER, About, Above, AlertSpec, Meaning, Unit, Word

_WITHOUT_POOLS = frozenset(word for word, meaning in MEANINGS.items() if meaning.about is About.FLEET)
_WITH_QUEUES = frozenset({Word.LONG_WAIT, Word.JOB_FAILURES})
_ID_DIGITS = 12
_WRITTEN = {Unit.COUNT: "a number", Unit.SHARE: 'a share such as "25%"', Unit.SECONDS: 'a duration such as "5m"'}


class ReadAlert(Struct, frozen=True):
    """One table with what came of it."""

    node: Node
    values: Mapping[str, Any]
    alerts: tuple[AlertSpec, ...]


def read_alerts(tables: list[Node], reader: Reader, check_pool: Callable[[str, Node], None]) -> tuple[ReadAlert, ...]:
    """All alerts, in their order; `check_pool` notes a pool that there is not."""
    found: list[ReadAlert] = []
    ids: dict[str, int] = {}
    for table in tables:
        node = ALERT.tidied(table, reader)
        values = reader.read(node, ALERT) or {}
        if ("webhook" in node.value) == ("command" in node.value):
            reader.problem(node, "needs either a webhook or a command", "give one of them")
        for pool in values.get("pools", ()):
            check_pool(pool, node.within("pools"))
        for key in ("on", "pools", "queues"):
            if values.get(key) == () and not node.within(key).value:
                reader.problem(node.within(key), "is empty", "name one" if key == "on" else "leave the key out instead")
        words = [Word(word) for word in values.get("on", ())]
        for word in words:
            _check(word, node, values, reader)
        found.append(ReadAlert(node, values, tuple(_alert(word, values, ids) for word in words)))
    return tuple(found)


def _check(word: Word, node: Node, values: Mapping[str, Any], reader: Reader) -> None:
    """What makes no sense for a word."""
    meaning = MEANINGS[word]
    for key, message in _misplaced(meaning, values):
        reader.problem(node.within(key), message, "take it out, or give what it is for an [[alert]] of its own")


def _misplaced(meaning: Meaning, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    word, above = meaning.word, values.get("above")
    if "pools" in values and word in _WITHOUT_POOLS:
        yield "pools", f"{word} is about no pool"
    if "queues" in values and word not in _WITH_QUEUES:
        yield "queues", f"{word} is about no queue"
    if above is None:
        return
    if not meaning.units:
        yield "above", f"{word} has no figure that could be above it"
    elif _fitting(above, meaning) is None:
        yield "above", f"is not what {word} counts ({meaning.figure}): write {_listed(meaning.units)}"


def _fitting(above: Above, meaning: Meaning) -> Above | None:
    """The threshold in the unit of the figure; a plain number stands for seconds, too."""
    if above.unit is Unit.COUNT and meaning.units == (Unit.SECONDS,):
        return Above(above.value, Unit.SECONDS)
    return above if above.unit in meaning.units else None


def _listed(units: tuple[Unit, ...]) -> str:
    return " or ".join(_WRITTEN[unit] for unit in units)


def _alert(word: Word, values: Mapping[str, Any], ids: dict[str, int]) -> AlertSpec:
    meaning = MEANINGS[word]
    queues: tuple[Text, ...] = values.get("queues", ())
    command: tuple[Text, ...] = values.get("command", ())
    above: Above | None = values.get("above")
    alert = AlertSpec(
        id="",
        on=word,
        above=(above and _fitting(above, meaning)) or meaning.above,
        lasting=values.get("for", meaning.lasting),
        recover_after=values.get("recover-after", RECOVER_AFTER),
        pools=tuple(sorted(values.get("pools", ()))),
        queues=tuple(sorted(queue.value for queue in queues)) if meaning.about is About.QUEUE else (),
        webhook=values.get("webhook"),
        command=tuple(text.value for text in command),
    )
    return _named(alert, ids)


def _named(alert: AlertSpec, ids: dict[str, int]) -> AlertSpec:
    """With an id by what it is about and whom it tells; the second one of the same is told apart by its number."""
    from hashlib import sha256  # noqa: PLC0415 - most files have no alerts

    about = json.encode((alert.on, alert.pools, alert.queues, alert.webhook, alert.command))
    digest = sha256(about).hexdigest()[:_ID_DIGITS]
    ids[digest] = number = ids.get(digest, 0) + 1
    return replace(alert, id=digest if number == 1 else f"{digest}-{number}")
