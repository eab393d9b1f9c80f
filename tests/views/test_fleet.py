from __future__ import annotations

from typing import Any

import pytest
from msgspec import Struct

from fleetd.core.scope import Scope
from fleetd.errors import NotFoundError
from fleetd.views.fleet import document, problems, rows
from fleetd.views.status_table import Tone
from fleetd.views.stragglers import stragglers

NOW = 1_790_000_100.0


class Member(Struct, frozen=True):
    name: str
    status: dict[str, Any] | None = None
    last_seen: float = NOW - 2
    is_live: bool = True


def worker(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "state": "running", "healthy": True, "pid": 7, "epoch": 5, "job": None, "more": 1} | changes


def pool(name: str, *workers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"name": name, "state": "running", "paused": False, "numprocs": len(workers), "workers": workers} | changes


def host(name: str, *pools: dict[str, Any], epoch: int | None = 5, **changes: Any) -> Member:
    fleet = {"name": "acme", "connected": True, "epoch": epoch}
    status = {"schema": 1, "instance": "app", "host": name, "state": "running", "fleet": fleet, "pools": pools}
    return Member(f"{name}/app", status | changes)


MEDIA = pool("media", worker("media:0"), worker("media:1"))
MAIL = pool("mail", worker("mail:0"))
GONE = Member("old/app", None, NOW - 3700, is_live=False)


def test_the_document_holds_those_of_live_members_as_they_are() -> None:
    a, b = host("a", MEDIA), host("b", MAIL, epoch=9)
    merged = document("acme", [a, b, GONE])
    assert merged == {
        "schema": 1,
        "fleet": "acme",
        "epoch": 9,
        "hosts": [{**(a.status or {}), "last_seen": NOW - 2}, {**(b.status or {}), "last_seen": NOW - 2}],
    }


def test_a_fleet_without_members() -> None:
    assert document("acme", []) == {"schema": 1, "fleet": "acme", "epoch": None, "hosts": []}
    assert rows([], NOW) == problems([], NOW) == []


@pytest.mark.parametrize(
    ("targets", "left"),
    [
        (["media"], {"a": {"media": 2}}),
        (["m*"], {"a": {"media": 2, "mail": 1}, "b": {"mail": 1}}),
        (["media:1"], {"a": {"media": 1}}),
        (["mail:*"], {"a": {"mail": 1}, "b": {"mail": 1}}),
        (["media:0", "media"], {"a": {"media": 2}}),
    ],
)
def test_targets_narrow_it_to_where_they_are(targets: list[str], left: dict[str, dict[str, int]]) -> None:
    members = [host("a", MEDIA, MAIL), host("b", MAIL), GONE]
    hosts = document("acme", members, targets)["hosts"]
    assert {h["host"]: {p["name"]: len(p["workers"]) for p in h["pools"]} for h in hosts} == left
    assert [row.cells[0] for row in rows(members, NOW, targets)] == [f"{name}/app" for name in left]


def test_a_target_that_is_nowhere() -> None:
    for view in (rows, problems):
        with pytest.raises(NotFoundError, match="nope: no such pool or worker; there are pools mail, media"):
            view([host("a", MEDIA), host("b", MAIL)], NOW, ["nope"])


def test_rows() -> None:
    rolling = pool("media", worker("media:0", epoch=4), worker("media:1", epoch=5))
    broken = pool("media", worker("media:0"), worker("media:1", state="backoff", pid=None, healthy=False))
    members = [
        host("a", MEDIA, MAIL),
        host("b", rolling),
        host("c", broken | {"state": "degraded"}),
        host("d", MEDIA | {"state": "paused"}),
        host("e", MEDIA, state="stopping"),
        host("f", pool("media", worker("media:0", epoch=None))),
        Member("g/app", {"nonsense": 1}),
        GONE,
    ]
    table = rows(members, NOW)
    assert [row.cells for row in table] == [
        ("a/app", "running", "2s ago", "5", "3/3", "media 2/2, mail 1/1"),
        ("b/app", "running", "2s ago", "4..5", "2/2", "media 2/2"),
        ("c/app", "degraded", "2s ago", "5", "1/2", "media 1/2 degraded"),
        ("d/app", "paused", "2s ago", "5", "2/2", "media 2/2 paused"),
        ("e/app", "stopping", "2s ago", "5", "2/2", "media 2/2"),
        ("f/app", "running", "2s ago", "-", "1/1", "media 1/1"),
        ("g/app", "unknown", "2s ago", "-", "-", ""),
        ("old/app", "gone", "1h 1m ago", "-", "-", ""),
    ]
    assert [row.tone for row in table][:3] == [Tone.GOOD, Tone.GOOD, Tone.WORRYING]
    assert problems(members, NOW) == [
        "c/app: media:1: backoff",
        "g/app: has published nothing that can be read; is its fleetd of another version?",
        "old/app: gone, last seen 1h 1m ago",
    ]


def test_a_degraded_pool_without_a_failing_worker_is_told_as_a_whole() -> None:
    starting = pool("media", worker("media:0", state="starting", healthy=False), state="degraded")
    assert problems([host("a", starting)], NOW) == ["a/app: media: 0 of 1 workers healthy"]


def test_nothing_published_reaches_a_terminal_raw() -> None:
    nasty = pool("media\x1b[2J\n", worker("x:0", state="given-up\x07"), worker("y\n:0", state="given-up"))
    members = [host("a", nasty, state="st\x1b]0;x\x07range\u202e")]
    told = [*rows(members, NOW)[0].cells, *problems(members, NOW)]
    assert all(text.isprintable() for text in told)
    assert r"a/app: y\x0a:0: given-up" in told


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"instance": "app", "host": "a", "pools": "many"},
        {"instance": 1, "host": "a"},
        {"instance": "app", "host": "a", "pools": [{"name": "media", "workers": [{"name": None}]}]},
        {"instance": "app", "host": "a", "pools": [{"name": "m", "workers": [{"name": "m:1", "epoch": 2**70}]}]},
    ],
)
def test_a_document_that_makes_no_sense_is_no_defect(status: dict[str, Any]) -> None:
    members = [Member("a/app", status), host("b", MEDIA)]
    assert rows(members, NOW)[0].cells[1] == "unknown"
    assert [each["host"] for each in document("acme", members, ["media"])["hosts"]] == ["b"]
    assert len(document("acme", members)["hosts"]) == 2


# -- stragglers --------------------------------------------------------------------------------------------------------


def test_stragglers_are_the_workers_in_scope_below_the_epoch() -> None:
    job = {"id": "9", "name": None, "queue": None, "started_at": NOW - 90}
    media = pool(
        "media",
        worker("media:0", epoch=4, state="stopping", job=job),
        worker("media:0", epoch=5),
        worker("media:1", epoch=None),
        worker("media:2", pid=None, epoch=None, state="backoff"),
    )
    documents = {"a/app": host("a", media, pool("mail", worker("mail:0", epoch=1))).status, "b/app": None}
    left = stragglers(documents, Scope(pools=("media",)), 5, NOW, {"a/app", "b/app", "c/app"})
    assert list(map(str, left)) == [
        "a/app media:0 pid 7 (stopping): 9 for 1m 30s",
        "a/app media:1 pid 7 (running)",
    ]
    assert stragglers(documents, Scope(hosts=("z",)), 5, NOW, {"a/app"}) == []
    assert stragglers(documents, Scope(), 5, NOW, {"b/app"}) == []
