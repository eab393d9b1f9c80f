"""TLS: the certificate is checked, and what is wrong with files is said at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fleetd.coordination.redis.connection import Connection
from fleetd.errors import UsageError
from tests.support.redis_steps import CHANNEL, GET, KEY, SET, connected, failure, hear
from tests.support.redis_tls import authority, running_tls_server

pytestmark = pytest.mark.redis


def test_a_server_whose_certificate_is_trusted() -> None:
    async def steps() -> None:
        with running_tls_server() as tls, tls.server.connect() as client:
            url = f"rediss://127.0.0.1:{tls.port}/0?ssl_ca_certs={tls.authority.certificate}"
            async with connected(url) as connection:
                assert await connection.run(SET, [KEY], ["1"]) == b"OK"
                assert await hear(connection, lambda: client.publish(CHANNEL, "look")) == "look"
                with tls.server.paused():
                    assert "no answer" in await failure(connection.run(GET, [KEY], []))
                assert await connection.run(GET, [KEY], []) == b"1"

    asyncio.run(steps())


def test_a_certificate_of_someone_else_is_refused() -> None:
    async def steps() -> None:
        with running_tls_server() as tls, authority() as other:
            async with connected(f"rediss://127.0.0.1:{tls.port}/0?ssl_ca_certs={other.certificate}") as connection:
                told = await failure(connection.run(GET, [KEY], []))
                assert told.startswith(f"rediss://127.0.0.1:{tls.port}/0: its certificate is not trusted")
                assert "ssl_ca_certs" in told
            async with connected(f"rediss://127.0.0.1:{tls.port}/0?ssl_cert_reqs=none") as connection:
                assert await connection.run(GET, [KEY], []) is None

    asyncio.run(steps())


def test_a_certificate_for_another_host_is_refused_unless_the_name_does_not_matter() -> None:
    async def steps() -> None:
        with running_tls_server(hosts="DNS:elsewhere.example") as tls:
            url = f"rediss://127.0.0.1:{tls.port}/0?ssl_ca_certs={tls.authority.certificate}"
            async with connected(url) as connection:
                assert "its certificate is not trusted" in await failure(connection.run(GET, [KEY], []))
            async with connected(f"{url}&ssl_check_hostname=false") as connection:
                assert await connection.run(GET, [KEY], []) is None

    asyncio.run(steps())


def test_a_server_that_asks_for_a_certificate() -> None:
    async def steps() -> None:
        with running_tls_server(asks_clients=True) as tls:
            certificate, key = tls.authority.issue("client", "DNS:client")
            url = f"rediss://127.0.0.1:{tls.port}/0?ssl_ca_certs={tls.authority.certificate}"
            async with connected(f"{url}&ssl_certfile={certificate}&ssl_keyfile={key}") as connection:
                assert await connection.run(GET, [KEY], []) is None
            async with connected(url) as connection:
                assert await failure(connection.run(GET, [KEY], []))
            _, other = tls.authority.issue("other", "DNS:other")
            with pytest.raises(UsageError, match="is the key the certificate's"):
                Connection(f"{url}&ssl_certfile={certificate}&ssl_keyfile={other}")

    asyncio.run(steps())


def test_tls_and_no_tls_confused() -> None:
    async def steps() -> None:
        with running_tls_server() as tls:
            async with connected(f"redis://127.0.0.1:{tls.port}/0") as connection:
                assert "rediss://" in await failure(connection.run(GET, [KEY], []))
            async with connected(f"rediss://127.0.0.1:{tls.server.port}/0") as connection:
                assert "no answer" in await failure(connection.run(GET, [KEY], []))  # it waits for the line's end

    asyncio.run(steps())


def test_files_that_cannot_be_used_are_an_error_of_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as missing:
        Connection(f"rediss://me:S3cret@h/0?ssl_ca_certs={tmp_path}/none.pem")
    assert str(missing.value) == f"rediss://h:6379/0: ssl_ca_certs: {tmp_path}/none.pem: no such file or directory"
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    with pytest.raises(UsageError, match="are the files PEM"):
        Connection(f"rediss://h/0?ssl_ca_certs={junk}")
