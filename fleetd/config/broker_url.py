"""The URLs of brokers: which schemes there are, and what kind of broker stands behind each."""

from __future__ import annotations

_KINDS = {
    "redis": "redis",
    "rediss": "redis",
    "unix": "redis",
    "redis+sentinel": "redis",
    "redis+cluster": "redis",
    "amqp": "amqp",
    "amqps": "amqp",
    "sqs": "sqs",
    "sqlite": "sql",
    "postgresql": "sql",
    "mysql": "sql",
}
SCHEMES = tuple(f"{scheme}://" + ("/" if scheme == "sqlite" else "") for scheme in _KINDS)


def kind_of(url: str) -> str | None:
    """The kind of broker: redis, amqp, sqs or sql; None for a URL that is none of a broker."""
    return _KINDS.get(url.partition("://")[0])


def is_for_workers(url: str) -> bool:
    """Whether libraries of workers know such a URL; sqs://REGION, and those with a +, are fleetd's own."""
    scheme = url.partition("://")[0]
    return scheme != "sqs" and "+" not in scheme
