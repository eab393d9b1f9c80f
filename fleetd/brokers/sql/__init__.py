"""Queues in tables: SQLite, PostgreSQL, MySQL and MariaDB, each by the queries of the framework file."""

from __future__ import annotations

from fleetd.brokers.packages import need
from fleetd.brokers.port import Broker
from fleetd.brokers.sql.broker import SqlBroker
from fleetd.brokers.sql.driver import Driver
from fleetd.core.spec import BrokerSpec

_PACKAGES = {"postgresql": "psycopg", "mysql": "pymysql"}  # what the extra of that name brings


def open(spec: BrokerSpec) -> Broker:  # noqa: A001 - every kind of broker has it by this name
    """A reader of the database at the spec's URL; nothing is connected yet.

    Raises UsageError where the database's driver is not installed, and FleetdError for a URL that makes no sense.
    """
    scheme = spec.url.partition("://")[0]
    if scheme in _PACKAGES:
        need(_PACKAGES[scheme], scheme, spec)
    return SqlBroker(_driver(spec.url))


def _driver(url: str) -> Driver:
    if url.startswith("postgresql://"):
        from fleetd.brokers.sql.postgresql import Postgresql  # noqa: PLC0415 - one of three is used

        return Postgresql(url)
    if url.startswith("mysql://"):
        from fleetd.brokers.sql.mysql import Mysql  # noqa: PLC0415 - the same

        return Mysql(url)
    from fleetd.brokers.sql.sqlite import Sqlite  # noqa: PLC0415 - the same

    return Sqlite(url)
