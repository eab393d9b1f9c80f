"""URLs of databases: what their labels show, and what is secret in them."""

from __future__ import annotations

import pytest

from fleetd.brokers.sql.address import Address
from fleetd.brokers.sql.mysql import Mysql
from fleetd.brokers.sql.postgresql import Postgresql
from fleetd.errors import FleetdError


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("mysql://app:pa/s@s:w?rd@db.internal:3306/app?charset=x", "mysql://db.internal:3306/app"),
        ("postgresql://db/app?password=secret", "postgresql://db/app"),
        ("postgresql://db/app?user=u&password=s3cr@et", "postgresql://db/app"),
        ("postgresql:///app?password=a?b@c=d", "postgresql:///app"),
        ("mysql://u:pw@h/db?ssl_ca=/x@y", "mysql://h/db"),
        ("mysql://u:p?w@h/db", "mysql://h/db"),
        ("mysql://u:p?w=1@h/db", "mysql://…"),
        ("postgresql://h:5432/db?user=u&password=s3cr@et", "postgresql://…"),
    ],
)
def test_labels_name_no_login(url: str, label: str) -> None:
    assert Address.of(url).label == label


def test_mysql_takes_an_option_with_an_at_sign_for_no_host() -> None:
    arguments = Mysql("mysql://u:pw@h:3307/db?ssl_ca=/x@y")._arguments
    assert {name: arguments[name] for name in ("host", "port", "user", "password", "database", "ssl_ca")} == {
        "host": "h",
        "port": 3307,
        "user": "u",
        "password": "pw",
        "database": "db",
        "ssl_ca": "/x@y",
    }


def test_mysql_does_not_guess_where_a_login_ends() -> None:
    with pytest.raises(FleetdError, match="it is not clear where the login ends") as caught:
        Mysql("mysql://u5er:s3cr?et=1@h/db")
    assert "s3cr" not in str(caught.value)
    assert "u5er" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://db/app?user=u5er&password=s3cr%40et",
        "postgresql://u5er:s3cr%40et@db/app",
        "postgresql://u5er:s3cr@et@db/app",
        "postgresql://db:1/app?user=u5er&password=s3cr@et",
    ],
)
def test_a_servers_words_are_told_without_the_login_of_the_url(url: str) -> None:
    words = Postgresql(url)._no_connection(Exception("u5er may not, with 's3cr@et'"))
    assert words == "… may not, with '…'"
