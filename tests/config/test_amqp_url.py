"""The URL of a RabbitMQ: all spellings that libraries of workers know, and no secret in what is said of a wrong one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetd.config.amqp_url import AmqpUrl, Tls, parse
from fleetd.errors import UsageError

SECRET = "S3cretWord"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("amqp://h1", AmqpUrl("h1", 5672)),
        ("amqp://h1/", AmqpUrl("h1", 5672)),
        ("amqp://h1//", AmqpUrl("h1", 5672)),
        ("amqp://h1/%2F", AmqpUrl("h1", 5672)),
        ("amqp://h1/%2Fa/b", AmqpUrl("h1", 5672, "/a/b")),
        ("amqps://h1/jobs", AmqpUrl("h1", 5671, "jobs", tls=Tls())),
        ("amqp://me:a%40b%3Ac@[::1]:99/jobs", AmqpUrl("::1", 99, "jobs", "me", "a@b:c")),
        ("amqp://me@h1", AmqpUrl("h1", 5672, user="me", password="")),
        ("amqp://h1/jobs?heartbeat=30&connection_attempts=2", AmqpUrl("h1", 5672, "jobs")),
        (
            "amqps://h1?cacertfile=/ca.pem&certfile=/c.pem&keyfile=/k.pem&verify=verify_none",
            AmqpUrl("h1", 5671, tls=Tls("/ca.pem", "/c.pem", "/k.pem", verify=False)),
        ),
        (
            "amqps://h1?ssl_ca_certs=/ca.pem&ssl_cert_reqs=CERT_REQUIRED",
            AmqpUrl("h1", 5671, tls=Tls("/ca.pem")),
        ),
    ],
)
def test_spellings(text: str, url: AmqpUrl) -> None:
    assert parse(text) == url
    assert url.user == "guest" or url.user not in str(url)
    assert parse(str(url)) == AmqpUrl(url.host, url.port, url.vhost, tls=None if url.tls is None else Tls())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"rabbit://me:{SECRET}@h1", "begin it with amqp:// or amqps://"),
        (f"amqp://me:{SECRET}/x@h1", "write %2F for /"),
        (f"amqp://me:{SECRET}#x@h1", "write %2F for /"),
        (f"amqp://me:{SECRET}@x@h1", "%40 for @"),
        (f"amqp://me:{SECRET}@h1,h2", "one HOST:PORT"),
        (f"amqp://me:{SECRET}@h1;amqp://h2", "one HOST:PORT"),
        (f"amqp://me:{SECRET}@", "one HOST:PORT"),
        (f"amqp://me:{SECRET}@h1:99999", "one HOST:PORT"),
        (f"amqps://me:{SECRET}@h1?verify={SECRET}", "verify_peer or verify_none"),
        (f"amqp://me:{SECRET}@h1/{'v' * 256}", "a vhost has at most 255 bytes"),
        (f"amqp://me:{SECRET}\udcff@h1", "not UTF-8"),
    ],
)
def test_mistakes(text: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert told in str(caught.value)
    assert SECRET not in str(caught.value)


@given(st.text(), st.sampled_from(["amqp://", "amqps://", ""]))
def test_any_text(text: str, scheme: str) -> None:
    try:
        url = parse(scheme + text)
    except UsageError as error:
        assert "\n" not in str(error)  # noqa: PT017 - most texts are none
    else:
        assert parse(str(url)).vhost == url.vhost
        assert "Word" not in repr(url) or "Word" in url.host + url.vhost
