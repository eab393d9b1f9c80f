"""The entry: from the paths of pool files to a FleetSpec, or to everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

from msgspec import Struct, field

from fleetd.config.alerts import ReadAlert, read_alerts
from fleetd.config.broker_url import kind_of
from fleetd.config.files import Document, gather
from fleetd.config.interpolation import Text
from fleetd.config.keys import BROKER, DAEMON, FLEET, POOL
from fleetd.config.launches import OwnFramework
from fleetd.config.own import read_frameworks
from fleetd.config.pools import ReadPool, build_pool
from fleetd.config.ports import Frameworks, Source
from fleetd.config.problems import NotYet, Problem
from fleetd.config.reader import Reader
from fleetd.config.suggestions import nearest
from fleetd.config.tables import TableOf
from fleetd.config.tree import Node, merged
from fleetd.core.spec import BrokerSpec, DaemonLogFormat, DaemonSpec, FleetSpec, MemberSpec

_DEFAULT = "default"
_READ_EVERY = {"sqs": 30.0}  # seconds, where it is not _OFTEN: each call costs money
_OFTEN = 5.0
# A unix socket's path has at most 107 bytes, unix(7); each run has one at RUNTIME/INSTANCE/notify/RUN, of 32 digits.
_LONGEST_PATH = 107
_NOTIFY = len("/notify/") + 32


class Loaded(Struct, frozen=True):
    """What came of reading the pool files; `spec` is None exactly if there are problems."""

    spec: FleetSpec | None
    problems: tuple[Problem, ...]
    not_yet: tuple[NotYet, ...]
    files: tuple[str, ...]  # all that were read, in this order
    pools: Mapping[str, ReadPool]
    alerts: tuple[ReadAlert, ...] = ()
    tables: Mapping[str, Node] = field(default_factory=lambda: MappingProxyType({}))  # "fleet", "daemon", "broker.NAME"

    @property
    def refused(self) -> tuple[NotYet, ...]:
        """What `start` cannot do without, and this version cannot do yet."""
        return tuple(note for note in self.not_yet if note.refuses)


def load(paths: Sequence[str], source: Source, frameworks: Frameworks, *, instance: str | None = None) -> Loaded:
    """Read pool files, all as one configuration; `instance` is its name where it is not the first file's stem.

    Raises nothing: what cannot be read or understood is in `problems`, one for each thing that is wrong.
    """
    reader = Reader(source.environ)
    document = gather(tuple(paths), source, reader)
    fleet = _table("fleet", FLEET, document, reader)
    daemon = _daemon(_table("daemon", DAEMON, document, reader))
    if daemon.runtime_directory is not None and paths:
        _check_socket_paths(document, daemon.runtime_directory, instance or PurePosixPath(paths[0]).stem, reader)
    brokers = {name: _broker(name, node, reader) for name, node in document.named["broker"].items()}
    own = read_frameworks(document.named["framework"], frameworks, reader)

    def check_pool(pool: str, place: Node) -> None:
        if pool not in document.named["pool"]:
            _missing(f"pool {pool}", pool, document.named["pool"], place, document, reader)

    alerts = read_alerts(document.alerts, reader, check_pool)
    pools = _pools(document, brokers, own, reader)
    _check_after(document, pools, reader)
    spec = FleetSpec(
        pools=MappingProxyType({name: pool.spec for name, pool in pools.items()}),
        daemon=daemon,
        host=fleet.get("host"),
        member=_member(fleet),
        brokers=MappingProxyType(brokers),
        files=tuple(document.files),
        alerts=tuple(alert for table in alerts for alert in table.alerts),
    )
    order = {file: number for number, file in enumerate(document.files)}

    def place(problem: Problem) -> tuple[int, int]:
        return order.get(problem.where.file, len(order)), problem.where.line

    return Loaded(
        spec=None if reader.problems else spec,
        problems=tuple(sorted(reader.problems, key=place)),
        not_yet=tuple(sorted(reader.not_yet, key=lambda note: place(note.problem))),
        files=tuple(document.files),
        pools=MappingProxyType(pools),
        alerts=alerts,
        tables=MappingProxyType(
            document.single | {f"broker.{name}": node for name, node in document.named["broker"].items()}
        ),
    )


def _table(name: str, kind: TableOf, document: Document, reader: Reader) -> dict[str, Any]:
    node = document.single.get(name)
    return {} if node is None else reader.read(kind.tidied(node, reader), kind) or {}


def _member(values: Mapping[str, Any]) -> MemberSpec | None:
    if "name" not in values or "redis" not in values:
        return None
    most = values.get("max-parallel-hosts")
    return MemberSpec(values["name"], values["redis"], **({} if most is None else {"max_parallel_hosts": most}))


def _daemon(values: Mapping[str, Any]) -> DaemonSpec:
    def path(key: str) -> str | None:
        text: Text | None = values.get(key)
        return text.value if text else None

    return DaemonSpec(
        log_level=values.get("log-level", "info"),
        log_format=DaemonLogFormat(values.get("log-format", "text")),
        log_directory=path("log-directory"),
        runtime_directory=path("runtime-directory"),
        state_directory=path("state-directory"),
        metrics_listen=values.get("metrics-listen"),
        socket_group=values.get("socket-group"),
    )


def _check_socket_paths(document: Document, runtime: str, instance: str, reader: Reader) -> None:
    room = _LONGEST_PATH - _NOTIFY - len(f"/{instance}".encode())
    if len(runtime.encode()) > room:
        place = document.single["daemon"].within("runtime-directory").within("runtime_directory")
        reader.problem(place, "is too long for the paths of sockets in it", f"choose one of at most {room} bytes")


def _broker(name: str, node: Node, reader: Reader) -> BrokerSpec:
    values = reader.read(BROKER.tidied(node, reader), BROKER) or {}
    prefix: Text | None = values.get("prefix")
    url: str = values.get("url", "")
    return BrokerSpec(
        name,
        url,
        prefix=prefix.value if prefix else None,
        retry_after=values.get("retry-after"),
        every=values.get("every", _READ_EVERY.get(kind_of(url) or "", _OFTEN)),
        management=values.get("management"),
        endpoint=values.get("endpoint"),
    )


def _missing(what: str, name: str, known: Iterable[str], place: Node, document: Document, reader: Reader) -> None:
    """Note that something is named which there is not; not so where a file that may have it could not be read."""
    if document.complete:
        near = nearest(name, known)
        reader.problem(place, f"there is no {what}", f"did you mean {near}?" if near else "add it, or correct the name")


def _pools(
    document: Document, brokers: Mapping[str, BrokerSpec], frameworks: Mapping[str, OwnFramework | None], reader: Reader
) -> dict[str, ReadPool]:
    defaults = document.single.get("defaults")
    if defaults is not None:
        defaults = POOL.tidied(defaults, reader)
    if defaults is not None and not document.named["pool"]:
        reader.read(defaults, POOL)
    pools: dict[str, ReadPool] = {}
    for name, table in document.named["pool"].items():
        node = POOL.tidied(table, reader)
        if defaults is not None:
            node = merged(node, defaults)
        values: dict[str, Any] = reader.read(node, POOL) or {}
        framework: str = values.get("framework", "command")
        if framework not in frameworks:
            _missing(f"framework {framework}", framework, frameworks, node.within("framework"), document, reader)
        broker: str = values.get("broker", _DEFAULT)
        if broker not in brokers and broker != _DEFAULT:
            _missing(f"[broker.{broker}]", broker, brokers, node.within("broker"), document, reader)
        own = frameworks.get(framework)
        if own is not None:
            pools[name] = build_pool(name, node, values, own, brokers.get(broker), reader)
    return pools


def _check_after(document: Document, pools: Mapping[str, ReadPool], reader: Reader) -> None:
    """Every pool in `after` exists, and following `after` never comes back."""
    known = document.named["pool"]
    told: set[str] = set()
    for name, pool in pools.items():
        for other in pool.spec.after:
            if other not in known:
                _missing(f"pool {other}", other, known, pool.node.within("after"), document, reader)
        circle = _circle(name, pools)
        if circle and name not in told:
            told.update(circle)
            reader.problem(pool.node.within("after"), f"waits for itself: {' after '.join(circle)}", "break the circle")


def _circle(name: str, pools: Mapping[str, ReadPool]) -> tuple[str, ...]:
    """The way from a pool along `after` back to itself; empty if there is none."""
    ways: list[tuple[str, ...]] = [(name,)]
    visited: set[str] = set()
    while ways:
        way = ways.pop()
        for other in pools[way[-1]].spec.after if way[-1] in pools else ():
            if other == name:
                return (*way, name)
            if other not in visited:
                visited.add(other)
                ways.append((*way, other))
    return ()
