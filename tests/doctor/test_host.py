"""The rules about the host, over facts as they may be seen."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from fleetd.core.spec import FleetSpec
from fleetd.doctor import host
from fleetd.doctor.host import HostFacts, Unit
from fleetd.doctor.host_facts import kernel_version, least, unit_facts
from fleetd.doctor.report import Verdict
from tests.support.pool_files import load_text

GIB = 1 << 30
FINE = HostFacts(
    kernel=(6, 15), descriptors=1024, processes=None, memory=8 * GIB, memory_limit=None, has_cgroups=True, is_root=True
)
POOL = '[pool.media]\ncommand = "worker"\nnumprocs = 10\n'
OK, WARNING, ERROR = Verdict.OK, Verdict.WARNING, Verdict.ERROR
UNIT = Unit("fleetd-media.service", stop_timeout=90, descriptors=524288, processes=None)


def spec(more: str = "") -> FleetSpec:
    loaded = load_text(POOL + more)
    assert loaded.spec is not None, loaded.problems
    return loaded.spec


CASES: list[tuple[str, str, dict[str, Any], Verdict, str]] = [
    ("descriptors", "", {}, OK, "1024 files may be open here, and these pools need 224"),
    ("descriptors", "", {"descriptors": None}, OK, "no limit of open files here"),
    ("descriptors", "", {"descriptors": 223}, ERROR, "223 files may be open here, and these pools need 224"),
    ("descriptors", "", {"descriptors": 10, "unit": UNIT}, OK, "524288 files may be open in fleetd-media.service"),
    ("descriptors", "limits = { nofile = 4096 }", {}, OK, "1024 files"),
    ("descriptors", "limits = { nofile = 4096 }", {"is_root": False}, ERROR, "limits.nofile asks for 4096"),
    ("descriptors", 'limits = { nofile = "unlimited" }', {"is_root": False}, ERROR, "asks for no limit"),
    ("processes", "", {}, OK, "no limit of processes in sight"),
    ("processes", "", {"processes": 36}, OK, "room for 36 more processes here, and these pools need at least 36"),
    ("processes", "", {"processes": 35}, ERROR, "room for 35 more processes"),
    ("processes", "", {"unit": replace(UNIT, processes=20)}, ERROR, "fleetd-media.service may have 20 processes"),
    ("processes", "", {"processes": 1, "unit": UNIT}, OK, "no limit"),
    ("memory", "", {}, OK, "8.0G of memory; no pool sets max-memory"),
    ("memory", 'max-memory = "800MiB"', {}, OK, "7.8G (max-memory x numprocs), and the machine has 8.0G"),
    ("memory", 'max-memory = "1GiB"', {}, WARNING, "10.0G (max-memory x numprocs), and the machine has 8.0G"),
    ("memory", 'max-memory = "800MiB"', {"memory_limit": 4 * GIB}, WARNING, "the cgroup has 4.0G"),
    (
        "memory", 'max-memory = "1MiB"\n[pool.mail]\ncommand = "worker"', {}, OK,
        "mail not counted: without max-memory",
    ),
    ("cgroups", "", {}, OK, "each worker can have a cgroup"),
    ("cgroups", "", {"has_cgroups": False}, WARNING, "no cgroup can be made"),
    ("cgroups", "", {"kernel": (5, 13)}, WARNING, "no cgroup can be made"),
    ("kernel", "", {}, OK, "Linux 6.15"),
    ("kernel", "", {"kernel": (6, 1)}, OK, "Linux 6.1: exit codes of workers whose keeper was killed may stay unknown"),
    ("kernel", "", {"kernel": (4, 19)}, ERROR, "Linux 4.19"),
    ("unit-stop-timeout", 'stop-timeout = "85s"', {"unit": UNIT}, OK, "waits 1m30s for a stop"),
    ("unit-stop-timeout", 'stop-timeout = "86s"', {"unit": UNIT}, ERROR, "these pools may take 1m31s"),
    ("unit-stop-timeout", 'stop-timeout = "1h"', {"unit": replace(UNIT, stop_timeout=None)}, OK, "without a limit"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "more", "seen", "verdict", "what"), CASES)
def test_rules(check: str, more: str, seen: dict[str, Any], verdict: Verdict, what: str) -> None:
    told = {each.check: each for each in host.judge(spec(more), replace(FINE, **seen))}[check]
    assert (told.verdict, what in told.what) == (verdict, True), told
    assert told.subject == "host"
    assert bool(told.why and told.remedy) == (verdict is not OK)


def test_without_a_unit_nothing_is_said_of_it() -> None:
    assert [each.check for each in host.judge(spec(), FINE)] == [rule.name for rule in host.RULES[:-1]]


@pytest.mark.parametrize(
    ("release", "version"),
    [("6.1.0-18-amd64", (6, 1)), ("5.15.167.4-microsoft-standard-WSL2", (5, 15)), ("x", (0, 0))],
)  # fmt: skip
def test_kernel_version(release: str, version: tuple[int, int]) -> None:
    assert kernel_version(release) == version


def test_the_narrowest_limit_counts() -> None:
    assert least([None, 7, 5]) == 5
    assert least([None]) is None


def test_a_unit_by_its_properties() -> None:
    shown = {"LoadState": "loaded", "TimeoutStopUSec": "1h 30s", "LimitNOFILE": "524288", "TasksMax": "4915"}
    assert unit_facts("a.service", lambda key: shown[key]) == Unit("a.service", 3630, 524288, 4915)
    endless = {**shown, "TimeoutStopUSec": "infinity", "LimitNOFILE": "infinity", "TasksMax": "infinity"}
    assert unit_facts("a.service", lambda key: endless[key]) == Unit("a.service")
    assert unit_facts("a.service", lambda key: "not-found" if key == "LoadState" else "") is None
