"""The text of units: what is written for which pools, and that systemd takes it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fleetd.core.spec import DaemonSpec, FleetSpec, Launch, PoolSpec
from fleetd.systemd.access import Setting, protect_home, protect_system
from fleetd.systemd.shipped import NEEDRESTART, UNIT, shipped
from fleetd.systemd.unit import Wanted, descriptors, render, stop_seconds
from tests.support.requirement import need

ROOT = Path(__file__).parents[2]
HIDDEN = Setting("yes", "Nothing is there.")


def pool(name: str = "media", **keys: object) -> PoolSpec:
    launch = {key: keys.pop(key) for key in ("user", "directory", "env", "env_file", "limits", "python") if key in keys}
    command = keys.pop("command", ("worker",))
    return PoolSpec(name, Launch(command, **launch), **keys)  # type: ignore[arg-type]


def spec(*pools: PoolSpec, daemon: DaemonSpec | None = None) -> FleetSpec:
    return FleetSpec({each.name: each for each in pools}, daemon=daemon or DaemonSpec())


def unit(of: FleetSpec | None = None, **keys: object) -> str:
    given = {"instance": "media", "program": ("/bin/true",), "files": ("/etc/fleetd/media.toml",), "home": HIDDEN}
    return render(shipped(UNIT), Wanted(spec=of or spec(pool()), **{**given, **keys}))  # type: ignore[arg-type]


def values(text: str, key: str) -> list[str]:
    return [line.removeprefix(f"{key}=") for line in text.splitlines() if line.startswith(f"{key}=")]


def test_the_commands_name_every_file_and_the_instance_where_it_has_a_name_of_its_own() -> None:
    text = unit(files=("/etc/a.toml", "/srv/my b.toml"), instance="x", is_named=True)

    which = '-c /etc/a.toml -c "/srv/my b.toml" --instance x'
    assert values(text, "ExecStart") == [f"/bin/true start {which}"]
    assert values(text, "ExecReload") == [f"/bin/true reload --no-wait {which}"]
    assert values(text, "ExecStopPost") == [f"/bin/true systemd after-stop {which}"]
    assert values(text, "EnvironmentFile") == ["-/etc/a.env"]


def test_what_looks_like_the_instance_in_a_path_stays() -> None:
    text = unit(files=("/etc/100%iron.toml",))

    assert values(text, "ExecStart") == ['/bin/true start -c "/etc/100%%iron.toml"']
    assert values(text, "EnvironmentFile") == ["-/etc/100%%iron.env"]


def test_nothing_of_the_template_is_left_in_it() -> None:
    text = unit()

    assert "%i" not in text
    assert "fleetd@" not in text
    assert values(text, "Description") == ["Queue workers of media (fleetd)"]
    assert values(text, "RuntimeDirectory") == ["fleetd/media"]


@pytest.mark.parametrize(("stop_timeout", "seconds"), [(10.0, 90), (3600.0, 3635), (0.2, 90), (100.5, 136)])
def test_the_time_to_stop_is_worked_out_from_the_pools(stop_timeout: float, seconds: int) -> None:
    of = spec(pool(stop_timeout=stop_timeout), pool("mail", stop_timeout=1.0))

    assert stop_seconds(of) == seconds
    assert values(unit(of), "TimeoutStopSec") == [f"{seconds}s"]


def test_descriptors_are_what_runs_need_or_workers_are_given() -> None:
    assert descriptors(spec(pool(numprocs=100))) == 524_288
    assert descriptors(spec(pool(numprocs=50_000))) == 801_024
    assert descriptors(spec(pool(limits=(("nofile", 1_000_000), ("core", 0))))) == 1_000_000
    assert values(unit(), "LimitNOFILE") == ["1024:524288"]


def test_directories_that_the_files_name_are_not_made_by_systemd() -> None:
    text = unit(spec(pool(), daemon=DaemonSpec(log_directory="/srv/log", runtime_directory="/srv/run")))

    assert values(text, "RuntimeDirectory") == values(text, "RuntimeDirectoryPreserve") == []
    assert values(text, "LogsDirectory") == values(text, "LogsDirectoryMode") == []
    assert values(text, "StateDirectory") == ["fleetd/media"]


def test_a_users_unit_has_nothing_that_only_the_system_can_do() -> None:
    text = unit(for_user=True)

    for key in ("ProtectHome", "SystemCallFilter", "CapabilityBoundingSet", "After", "Wants", "StateDirectory"):
        assert values(text, key) == []
    assert values(text, "WantedBy") == ["default.target"]
    assert values(text, "RuntimeDirectoryMode") == ["0700"]
    assert values(text, "ExecStopPost") == ["/bin/true systemd after-stop --user -c /etc/fleetd/media.toml"]
    assert values(text, "KillMode") == ["process"]


HOMES = {"deploy": "/home/deploy", "www-data": "/var/www", "nobody": "/nonexistent"}


@pytest.mark.parametrize(
    ("of", "read", "value", "reason"),
    [
        (spec(pool(user="www-data")), ("/usr/bin/fleetd",), "yes", "No pool"),
        (spec(pool(user="www-data")), ("/home/me/venv/bin/fleetd",), "read-only", "/home/me/venv/bin/fleetd"),
        (spec(pool(user="www-data")), ("/opt/linked",), "read-only", "/root/real"),
        (spec(pool(user="www-data", directory="/home/x")), ("/root/y",), "no", "media works in"),
        (spec(pool(user="www-data", directory="/opt/linked")), (), "no", "media works in"),
        (spec(pool(user="www-data", env_file="/home/x/.env")), (), "no", "media uses files in"),
        (spec(pool(user="www-data", command=("php", "/home/x/artisan"))), (), "no", "media uses files in"),
        (spec(pool(user="www-data", env={"GEM_HOME": "/home/x/gems"})), (), "no", "media uses files in"),
        (spec(pool(user="www-data", env={"PATH": "/usr/bin:/home/x/bin"})), (), "no", "media uses files in"),
        (spec(pool(user="www-data", env={"URL": "redis://home/0"})), (), "yes", "No pool"),
        (spec(pool(user="deploy")), (), "no", "the user of media has"),
        (spec(pool(user="4711")), (), "yes", "No pool"),
        (spec(pool()), (), "no", "the user of media has"),
        (spec(pool(user="nobody"), daemon=DaemonSpec(log_directory="/home/log")), (), "no", "the log-directory is in"),
    ],
)
def test_homes_are_hidden_where_nobody_needs_one(of: FleetSpec, read: tuple[str, ...], value: str, reason: str) -> None:
    setting = protect_home(
        of, HOMES, read, lambda path: "/root/real" if path == "/opt/linked" else path.replace("//", "/")
    )

    assert setting.value == value
    assert reason in setting.reason
    lines = unit(home=setting).splitlines()
    at = lines.index(f"ProtectHome={value}")
    assert lines[at - 1] == f"# {setting.reason}"
    assert lines[at - 2].startswith("# Left open: RootDirectory=")


def test_a_reason_holds_no_value_of_a_pool_file() -> None:
    of = spec(
        pool(user="www-data", command=("php", "/home/SECRET"), directory="/home/SECRET", env={"A": "/home/SECRET"})
    )

    assert "SECRET" not in protect_home(of, {}, (), str).reason


@pytest.mark.parametrize(("directory", "value"), [("/usr/local/app", "no"), ("/var/www", None), ("/usrlocal", None)])
def test_a_pool_may_write_where_it_works(directory: str, value: str | None) -> None:
    setting = protect_system(spec(pool(directory=directory)), str)

    assert (None if setting is None else setting.value) == value
    assert values(unit(system=setting), "ProtectSystem") == [value or "full"]


@pytest.fixture
def analyze(tmp_path: Path) -> Path:
    """Where to put units that are to be judged."""
    need(shutil.which("systemd-analyze"), "no systemd-analyze: install systemd")
    return tmp_path


@pytest.mark.parametrize("for_user", [False, True])
@pytest.mark.parametrize("file", ["/etc/fleetd/media.toml", '/srv/50%n $HOME/it\'s "q" \\ pools.toml'])
def test_systemd_finds_nothing_wrong_with_a_unit(analyze: Path, file: str, *, for_user: bool) -> None:
    path = analyze / "fleetd-media.service"
    path.write_text(unit(files=(file,), for_user=for_user))
    scope = ["env", f"XDG_RUNTIME_DIR={analyze}", "systemd-analyze", "--user"] if for_user else ["systemd-analyze"]
    done = run(*scope, "verify", str(path))
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_finds_nothing_wrong_with_the_template(analyze: Path) -> None:
    text = (ROOT / "systemd" / UNIT).read_text()
    path = analyze / UNIT
    path.write_text(text.replace("=fleetd ", "=/bin/true "))
    done = run("systemd-analyze", "verify", str(path))
    assert (done.returncode, done.stderr) == (0, "")


def test_the_sandbox_does_not_get_worse(analyze: Path) -> None:
    path = analyze / "fleetd-media.service"
    path.write_text(unit(home=Setting("no", "Left open.")))
    documented = re.search(r"score is ([0-9.]+)", (ROOT / "docs" / "systemd.md").read_text())
    assert documented is not None
    threshold = f"--threshold={float(documented[1]) * 10:.0f}"
    done = run("systemd-analyze", "security", "--offline=yes", threshold, str(path))
    assert done.returncode == 0, done.stdout
    assert run("systemd-analyze", "security", "--offline=yes", "--threshold=10", str(path)).returncode != 0


def test_each_directive_of_the_sandbox_that_is_open_says_why(analyze: Path) -> None:
    """All that costs more than 0.1 is set, or named in a comment."""
    text = unit(home=Setting("no", "Left open: ProtectHome=."))
    path = analyze / "fleetd-media.service"
    path.write_text(text)
    judged = json.loads(run("systemd-analyze", "security", "--offline=yes", "--json=short", str(path)).stdout)
    names = [entry["name"] for entry in judged if entry["exposure"] and float(entry["exposure"]) > 0.1]
    assert len(names) > 5
    open_ = {directive.split("=")[0] for name in names for directive in name.split("/")}
    assert {name for name in open_ if f"{name}=" not in text} == set()


def test_needrestart_knows_the_units() -> None:
    need(shutil.which("perl"), "no perl")
    program = f"""our %nrconf; {shipped(NEEDRESTART)}
        my ($re) = keys %{{$nrconf{{override_rc}}}};
        print /$re/ ? 1 : 0 for qw(fleetd-media.service fleetd@media.service xfleetd-a.service fleetd.socket)"""
    done = run("perl", "-e", program)
    assert (done.stdout, done.stderr) == ("1100", "")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
