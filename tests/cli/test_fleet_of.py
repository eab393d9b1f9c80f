"""Which fleet a command is for, and that passwords are seen nowhere."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fleetd.cli import fleet_of
from fleetd.cli.finding import add_daemon
from fleetd.cli.fleet_of import FOUND, FleetAddress, add_fleet, find_fleet, split_flag, the_fleet
from fleetd.cli.parser import Parser, add_targets
from fleetd.errors import FleetdError, NotFoundError, UsageError
from tests.support import control_server

ACME = FleetAddress("acme", "redis://queue/0")
SECRET = "s3cr3t"


def parsed(*words: str, shows: str = "all hosts") -> argparse.Namespace:
    parser = Parser("status", "show", "fleetd status")
    add_targets(parser)
    add_daemon(parser)
    add_fleet(parser, shows=shows)
    return parser.parse_intermixed_args(list(words))


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, short_path: Path) -> Path:
    """No environment, no daemon but those below this directory."""
    for name in ("FLEETD_REDIS", "FLEETD_FLEET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(fleet_of.daemon.__globals__["paths"], "runtime_directories", lambda: (short_path,))
    return short_path


@contextmanager
def daemon_in(directory: Path, answer: Mapping[str, Any] | FleetdError) -> Iterator[None]:
    """A daemon that says so of its fleet."""

    async def fleet(_args: Mapping[str, Any], _reply: Any) -> Any:
        if isinstance(answer, FleetdError):
            raise answer
        return answer

    (directory / "app").mkdir()
    with control_server.serving(directory / "app" / "control.sock", verbs={"fleet": fleet}):
        yield


def pool_file(directory: Path, text: str) -> str:
    file = directory / "app.toml"
    file.write_text(text)
    return str(file)


def test_the_command_line_comes_first(surroundings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEETD_REDIS", "redis://other")
    monkeypatch.setenv("FLEETD_FLEET", "other")
    file = pool_file(surroundings, '[fleet]\nname = "third"\nredis = "redis://third"\n')
    assert find_fleet(parsed("--redis", ACME.url, "--fleet", "acme", "-c", file)) == ACME
    assert find_fleet(parsed("-c", file)) == FleetAddress("third", "redis://third")
    assert find_fleet(parsed()) == FleetAddress("other", "redis://other")


def test_the_file_says_it_and_a_file_without_a_fleet_says_that_there_is_none(
    surroundings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEETD_REDIS", "redis://other")
    monkeypatch.setenv("FLEETD_FLEET", "other")
    monkeypatch.setenv("PASSWORD", SECRET)
    file = pool_file(surroundings, '[fleet]\nname = "acme"\nredis = "redis://:${PASSWORD}@queue/0"\n')
    found = find_fleet(parsed("-c", file))
    assert found is not None
    assert found.url == f"redis://:{SECRET}@queue/0"
    assert SECRET not in repr(found)
    file = pool_file(surroundings, '[pool.media]\ncommand = "true"\n')
    assert find_fleet(parsed("-c", file)) is None
    with pytest.raises(UsageError, match=r"app.toml has no \[fleet\]"):
        the_fleet(parsed("-c", file))


def test_a_fleet_that_is_wrong_in_the_file_is_an_error(surroundings: Path) -> None:
    file = pool_file(surroundings, f'[fleet]\nname = "acme"\nredis = "htp://:{SECRET}@queue"\n')
    with pytest.raises(UsageError, match=r"app.toml:3: fleet.redis: not a URL that fleetd knows") as raised:
        find_fleet(parsed("-c", file))
    assert SECRET not in str(raised.value)


def test_a_file_that_became_wrong_leaves_it_to_the_daemon(surroundings: Path) -> None:
    file = pool_file(surroundings, "[fleet\n")
    with daemon_in(surroundings, {"name": "acme", "url": ACME.url, "host": "h"}):
        assert find_fleet(parsed("-c", file)) == ACME


def test_a_file_that_cannot_be_read_is_told_where_no_daemon_knows_better(surroundings: Path) -> None:
    with pytest.raises(UsageError, match=r"app.toml: cannot be read: No such file"):
        find_fleet(parsed("-c", str(surroundings / "app.toml")))


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"FLEETD_REDIS": "redis://h"}, "FLEETD_REDIS is set alone"),
        ({"FLEETD_FLEET": "acme"}, "FLEETD_FLEET is set alone"),
        ({"FLEETD_REDIS": f"http://:{SECRET}@h", "FLEETD_FLEET": "acme"}, "FLEETD_REDIS: not a URL that fleetd knows"),
        ({"FLEETD_REDIS": "redis://h", "FLEETD_FLEET": "A b"}, 'FLEETD_FLEET: "A b" is not a name'),
    ],
)
def test_a_wrong_environment(environ: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError) as raised:
        find_fleet(parsed())
    assert str(raised.value).startswith(message)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}@queue/0",
        f"rediss://user:{SECRET}@queue",
        f"unix:///run/redis.sock?password={SECRET}",
        f"redis+sentinel://user:{SECRET}@h1:1,h2:1/service/0",
        f"redis+sentinel://h1:1/service?sentinel_password={SECRET}",
    ],
)
def test_a_password_on_the_command_line_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="shows in ps; set FLEETD_REDIS and FLEETD_FLEET instead") as raised:
        find_fleet(parsed("--redis", url, "--fleet", "acme"))
    assert SECRET not in str(raised.value)


def test_what_cannot_be_read_is_refused_without_being_quoted() -> None:
    with pytest.raises(UsageError, match="write %2F for /") as raised:
        find_fleet(parsed("--redis", f"redis://user:{SECRET}/@queue", "--fleet", "acme"))
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["redis://user@queue", "unix:///run/b%40c.sock", "redis+sentinel://h1:1,h2:2/service/0"]
)
def test_an_address_without_one_is_taken(url: str) -> None:
    assert find_fleet(parsed("--redis", url, "--fleet", "acme")) == FleetAddress("acme", url)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--redis", "redis://h"], "--redis needs --fleet NAME"),
        (["--redis", "redis://h", "--fleet"], "--redis needs --fleet NAME"),
        (["--redis", "htp://h", "--fleet", "acme"], "--redis: not a URL that fleetd knows"),
        (["--redis", "redis://h", "--fleet", "Not A Name"], '--fleet: "Not A Name" is not a name'),
    ],
)
def test_half_an_answer(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_fleet(parsed(*words))


def test_a_name_alone_where_fleet_is_no_flag() -> None:
    with pytest.raises(UsageError, match="--fleet acme needs --redis URL"):
        find_fleet(parsed("--fleet", "acme", shows=""))


def test_a_name_beside_the_address_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEETD_REDIS", "redis://user:secret@h/0")
    found = find_fleet(parsed("--fleet", "acme", shows=""))
    assert found is not None
    assert (found.name, found.url) == ("acme", "redis://user:secret@h/0")


def test_a_word_behind_the_flag_is_a_target_unless_redis_is_given() -> None:
    args = parsed("--fleet", "media", "mail")
    split_flag(args)
    assert (args.fleet, args.targets) == (FOUND, ["media", "mail"])
    args = parsed("--fleet", "acme", "mail", "--redis", "redis://h")
    split_flag(args)
    assert (args.fleet, args.targets) == ("acme", ["mail"])


def test_the_daemon_is_asked_last(surroundings: Path) -> None:
    with daemon_in(surroundings, {"name": "acme", "url": ACME.url, "host": "h"}):
        assert find_fleet(parsed()) == ACME


def test_a_daemon_in_no_fleet(surroundings: Path) -> None:
    with daemon_in(surroundings, {"name": None}):
        assert find_fleet(parsed()) is None
        with pytest.raises(UsageError, match="no fleet: the daemon is in none; give -c FILE"):
            the_fleet(parsed())


def test_a_daemon_of_an_older_version_is_in_no_fleet(surroundings: Path) -> None:
    (surroundings / "app").mkdir()
    with control_server.serving(surroundings / "app" / "control.sock"):
        assert find_fleet(parsed()) is None


def test_a_daemon_that_does_not_tell_is_an_error_and_no_local_restart(surroundings: Path) -> None:
    with (
        daemon_in(surroundings, UsageError("only its user may know: set FLEETD_REDIS and FLEETD_FLEET")),
        pytest.raises(UsageError, match="set FLEETD_REDIS and FLEETD_FLEET"),
    ):
        find_fleet(parsed())


def test_without_anything_the_error_says_what_a_ci_job_lacks() -> None:
    with pytest.raises(NotFoundError, match="for a fleet from elsewhere, set FLEETD_REDIS and FLEETD_FLEET"):
        find_fleet(parsed())
