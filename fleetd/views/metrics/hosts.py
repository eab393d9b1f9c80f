"""How the metrics of the daemon, its fleet and its brokers are drawn."""

from __future__ import annotations

from collections.abc import Iterator

from fleetd.views.metrics.metric import Sample, Scrape


def build(scrape: Scrape) -> Iterator[Sample]:
    """The versions."""
    yield (scrape.host.version, scrape.own.python), 1


def started(scrape: Scrape) -> Iterator[Sample]:
    """When the daemon was started, or took the place of another version."""
    yield (), scrape.host.started_at


def stopping(scrape: Scrape) -> Iterator[Sample]:
    """Whether it drains all its workers, to end."""
    yield (), float(scrape.host.state == "stopping")


def coordination(scrape: Scrape) -> Iterator[Sample]:
    """Whether the fleet's Redis answers."""
    if scrape.host.fleet is not None:
        yield (scrape.host.fleet.name,), float(scrape.host.fleet.connected)


def member(scrape: Scrape) -> Iterator[Sample]:
    """Whether this daemon is a member."""
    if scrape.host.fleet is not None:
        yield (scrape.host.fleet.name,), float(scrape.host.fleet.member)


def brokers(scrape: Scrape) -> Iterator[Sample]:
    """Whether the last read was answered."""
    for broker in scrape.host.brokers:
        if broker.reachable is not None:
            yield (broker.name,), float(broker.reachable)


def resident(scrape: Scrape) -> Iterator[Sample]:
    """Memory."""
    yield (), scrape.own.resident


def cpu(scrape: Scrape) -> Iterator[Sample]:
    """Time on a processor."""
    yield (), scrape.own.cpu


def process_started(scrape: Scrape) -> Iterator[Sample]:
    """When the process began."""
    yield (), scrape.own.started


def open_files(scrape: Scrape) -> Iterator[Sample]:
    """Descriptors in use."""
    yield (), scrape.own.open_files


def most_files(scrape: Scrape) -> Iterator[Sample]:
    """Descriptors that it may have."""
    yield (), scrape.own.most_files
