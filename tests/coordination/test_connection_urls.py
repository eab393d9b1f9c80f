"""Each form of URL is understood, and none that is wrong gives a password away."""

from __future__ import annotations

import pytest

from fleetd.config.redis_url import Endpoint, Kind, Login, SocketPath, parse
from fleetd.errors import UsageError

SECRET = "S3cret"


def test_one_server() -> None:
    url = parse("redis://queue.internal/3")
    assert (url.kind, url.seeds, url.database, url.tls) == (Kind.SERVER, (Endpoint("queue.internal", 6379),), 3, None)
    assert str(url) == "redis://queue.internal:6379/3"
    assert str(parse("redis://[::1]:7000?db=2")) == "redis://[::1]:7000/2"


def test_user_and_password_are_decoded() -> None:
    assert parse("redis://me:p%40ss%2Fword@h/0").login == Login("me", "p@ss/word")
    assert parse("redis://:word@h").login == Login(None, "word")
    assert parse("unix:///run/redis.sock?password=word&username=me").login == Login("me", "word")


def test_tls_parameters_reach_the_library_and_the_certificate_is_checked_by_default() -> None:
    url = parse("rediss://h:6380/0?ssl_ca_certs=/ca.pem&ssl_certfile=/c.pem&ssl_keyfile=/k.pem")
    assert url.tls == {
        "ssl_ca_certs": "/ca.pem",
        "ssl_certfile": "/c.pem",
        "ssl_keyfile": "/k.pem",
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
    }
    assert str(url) == "rediss://h:6380/0"
    loose = parse("rediss://h?ssl_cert_reqs=none").tls
    assert loose == {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    assert parse("rediss://h?ssl_check_hostname=no").tls == {"ssl_cert_reqs": "required", "ssl_check_hostname": False}


def test_unix_socket() -> None:
    url = parse("unix:///run/redis/redis.sock?db=4")
    assert (url.kind, url.seeds, url.database) == (Kind.SOCKET, (SocketPath("/run/redis/redis.sock"),), 4)
    assert str(url) == "unix:///run/redis/redis.sock?db=4"


def test_sentinel() -> None:
    url = parse(f"redis+sentinel://me:{SECRET}@h1,h2:26380/acme/5?sentinel_username=s&sentinel_password=t&ssl=true")
    assert url.seeds == (Endpoint("h1", 26379), Endpoint("h2", 26380))
    assert (url.service, url.database) == ("acme", 5)
    assert (url.login, url.sentinel_login) == (Login("me", SECRET), Login("s", "t"))
    assert url.tls is not None
    assert str(url) == "redis+sentinel://h1:26379,h2:26380/acme/5"


def test_cluster() -> None:
    url = parse("redis+cluster://h1:7000,h2/?ssl=true&ssl_ca_certs=/ca.pem")
    assert (url.kind, url.seeds) == (Kind.CLUSTER, (Endpoint("h1", 7000), Endpoint("h2", 6379)))
    assert url.tls is not None
    assert str(url) == "redis+cluster://h1:7000,h2:6379"


@pytest.mark.parametrize(
    "text",
    [
        f"redis://me:{SECRET}@h/0",
        f"redis+sentinel://me:{SECRET}@h/s",
        f"redis+sentinel://h/s?sentinel_password={SECRET}",
        f"redis+cluster://:{SECRET}@h",
        f"unix:///s?password={SECRET}",
        f"rediss://h?ssl_password={SECRET}",
    ],
)
def test_a_password_is_known_and_never_shown(text: str) -> None:
    url = parse(text)
    assert url.holds_password
    assert SECRET not in f"{url} {url!r} {url.login!r} {url.sentinel_login!r}"
    assert "me:" not in str(url)


def test_a_user_alone_is_no_password() -> None:
    assert not parse("redis://me@h/0").holds_password
    assert not parse("unix:///s").holds_password


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"http://me:{SECRET}@h/0", "begin it with redis://, rediss://"),
        (SECRET, "begin it with"),
        ("redis://h:99999/0", "HOST:PORT"),
        ("redis:///0", "HOST:PORT"),
        (f"redis://me:{SECRET}@h:port/0", "HOST:PORT"),
        (f"redis://:{SECRET}/x@h/0", "%2F for /"),
        (f"redis://:{SECRET}?x@h/0", "%3F for ?"),
        (f"redis://:{SECRET}#x@h/0", "%23 for #"),
        (f"redis+cluster://u:{SECRET}@h1,u:{SECRET}@h2", "once, before the first host"),
        ("redis://h1,h2/0", "redis+sentinel:// or redis+cluster://"),
        ("redis://h/zero", "the database is a number"),
        ("redis://h?db=zero", "db must be a number"),
        (f"redis://h?{SECRET}=1", "unknown parameter"),
        ("redis://h?ssl_ca_cert=/x&ssl=1", "did you mean ssl_ca_certs?"),
        ("redis://h?db=1&db=2", "db is there twice"),
        ("redis://h?ssl_ca_certs=/x", "ssl_ca_certs has no effect without TLS: add ssl=true"),
        ("rediss://h?ssl=false", "contradicts ssl=false"),
        ("rediss://h?ssl_cert_reqs=perhaps", "none, optional or required"),
        (f"redis://h?sentinel_password={SECRET}", "redis+sentinel:// only"),
        ("unix://run/redis.sock", "absolute path"),
        ("unix:///run/redis.sock?ssl=true", "no TLS on a unix socket"),
        ("redis+sentinel://h1:26379", "name the service"),
        ("redis+cluster://h1:6379/1", "database 0 only"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)
