from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from fleetd.core.spec import DaemonSpec
from fleetd.errors import FleetdError, NotFoundError, UsageError
from fleetd.shell import paths
from tests.support.open_clone import found_in
from tests.support.ordinary_user import BECOME, everyones_python

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="other users' files need root")

WHERE = """
import sys
from fleetd.core.spec import DaemonSpec
from fleetd.shell import paths
places = paths.instance("media", DaemonSpec())
print(places.runtime, places.state, places.logs, *paths.runtime_directories())
"""


def where(*, as_nobody: bool = False, **environment: str) -> list[str]:
    """The default places of a user, root where it is not UID."""
    command = [sys.executable, "-c", WHERE]
    if as_nobody:
        command[:1] = [*BECOME, everyones_python()]
        environment["PYTHONPATH"] = found_in()
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@contextmanager
def listening(directory: Path, *names: str) -> Iterator[None]:
    """Sockets that listen where daemons of these names would."""
    with ExitStack() as stack:
        for name in names:
            (directory / name).mkdir(parents=True, exist_ok=True)
            each = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            each.bind(str(directory / name / "control.sock"))
            each.listen()
        yield


def instance(directory: Path, name: str = "media") -> paths.Instance:
    parts = {f"{kind}_directory": str(directory / kind) for kind in ("runtime", "state", "log")}
    return paths.instance(name, DaemonSpec(**parts))  # type: ignore[arg-type]


# -- where ------------------------------------------------------------------------------------------------------------


@pytest.mark.root
@as_root
def test_root_has_the_system_directories() -> None:
    assert where(XDG_RUNTIME_DIR="/run/user/0", HOME="/root") == [
        "/run/fleetd/media",
        "/var/lib/fleetd/media",
        "/var/log/fleetd/media",
        "/run/fleetd",
    ]


@pytest.mark.root
@as_root
def test_a_user_has_the_directories_of_xdg() -> None:
    assert where(as_nobody=True, XDG_RUNTIME_DIR="/tmp/run", XDG_STATE_HOME="/tmp/state", HOME="/h") == [
        "/tmp/run/fleetd/media",
        "/tmp/state/fleetd/media",
        "/tmp/state/fleetd/log/media",
        "/tmp/run/fleetd",
        "/run/fleetd",
    ]
    assert where(as_nobody=True, XDG_RUNTIME_DIR="not/absolute", HOME="/h", TMPDIR="/var/tmp") == [
        "/var/tmp/fleetd-65534/media",
        "/h/.local/state/fleetd/media",
        "/h/.local/state/fleetd/log/media",
        "/var/tmp/fleetd-65534",
        "/run/fleetd",
    ]


def test_the_daemon_table_overrides_each_place(short_path: Path) -> None:
    places = instance(short_path)
    assert places.control == short_path / "runtime" / "media" / "control.sock"
    assert places.state_file == short_path / "state" / "media" / "state.json"
    assert places.daemon_log == short_path / "log" / "media" / "fleetd.log"


@pytest.mark.parametrize(("file", "name"), [("/etc/fleetd/media.toml", "media"), ("a.b-c_1.toml", "a.b-c_1")])
def test_an_instance_is_named_after_its_first_file(file: str, name: str) -> None:
    assert paths.instance_name([Path(file), Path("other.toml")]) == name
    assert paths.instance_name([Path(file)], "named") == "named"


@pytest.mark.parametrize("name", ["Media", "-x", "a/b", "..", "", "x" * 64, "ü"])
def test_an_instance_name_is_checked(name: str) -> None:
    with pytest.raises(UsageError, match=r"--instance: .* is no instance name"):
        paths.instance_name([Path("media.toml")], name)


def test_a_file_name_that_is_no_instance_name_asks_for_one() -> None:
    with pytest.raises(
        UsageError, match=r"the name of Media.toml: 'Media' is no instance name .*; use --instance NAME"
    ):
        paths.instance_name([Path("Media.toml")])


def test_socket_paths_fit_into_the_kernels_limit() -> None:
    room = paths.LONGEST_SOCKET - len("/media/notify/") - paths.RUN_ID_LENGTH
    fits = paths.instance("media", DaemonSpec(runtime_directory="/" + "r" * (room - 1)))
    assert len(str(fits.notify / ("0" * paths.RUN_ID_LENGTH))) == paths.LONGEST_SOCKET
    with pytest.raises(UsageError, match=r"runtime-directory: .* socket paths of 108 bytes, .* at most 107"):
        paths.instance("media", DaemonSpec(runtime_directory="/" + "r" * room))
    with pytest.raises(UsageError, match="socket paths of 108 bytes"):  # bytes, not characters
        paths.instance("media", DaemonSpec(runtime_directory="/" + "r" * (room - 2) + "ü"))


# -- directories ------------------------------------------------------------------------------------------------------


def test_directories_are_made_whatever_the_umask(short_path: Path) -> None:
    places = instance(short_path)
    before = os.umask(0o077)
    try:
        paths.prepare(places, "staff")
    finally:
        os.umask(before)
    modes = {path: path.stat().st_mode & 0o777 for path in (places.runtime, places.notify, places.state, places.logs)}
    assert modes == {places.runtime: 0o755, places.notify: 0o711, places.state: 0o700, places.logs: 0o751}
    paths.prepare(places, "staff")


def test_a_directory_that_others_may_write_to_is_refused(short_path: Path) -> None:
    places = instance(short_path)
    paths.prepare(places)
    places.runtime.chmod(0o777)
    with pytest.raises(FleetdError, match=f"others may write to {places.runtime}: run `chmod go-w"):
        paths.prepare(places)


def test_a_link_in_a_directorys_place_is_refused(short_path: Path) -> None:
    places = instance(short_path)
    places.runtime.parent.mkdir()
    (short_path / "elsewhere").mkdir()
    places.runtime.symlink_to(short_path / "elsewhere")
    with pytest.raises(FleetdError, match="is no directory of its own"):
        paths.prepare(places)


@pytest.mark.root
@as_root
def test_another_users_directory_is_refused(short_path: Path) -> None:
    places = instance(short_path)
    paths.prepare(places)
    os.chown(places.runtime, 65534, 65534)
    with pytest.raises(FleetdError, match="belongs to user 65534"):
        paths.prepare(places)


def test_a_directory_that_cannot_be_made_is_one_line(short_path: Path) -> None:
    (short_path / "runtime").write_text("")
    with pytest.raises(FleetdError, match="in \\[daemon\\]"):
        paths.prepare(instance(short_path))


# -- discovery --------------------------------------------------------------------------------------------------------


def test_the_only_daemon_is_found(short_path: Path) -> None:
    other = short_path / "other"
    with listening(short_path / "own", "media"):
        found = paths.find(None, [short_path / "own", other])
    assert found == paths.Running("media", short_path / "own" / "media" / "control.sock")


def test_several_need_a_name(short_path: Path) -> None:
    own, system = short_path / "own", short_path / "system"
    with listening(own, "media", "mail"), listening(system, "api"):
        with pytest.raises(UsageError, match=r"several daemons are running \(mail, media, api\): say which"):
            paths.find(None, [own, system])
        assert paths.find("api", [own, system]).control == system / "api" / "control.sock"


def test_ones_own_daemon_goes_before_the_systems_of_the_same_name(short_path: Path) -> None:
    own, system = short_path / "own", short_path / "system"
    with listening(own, "media"), listening(system, "media"):
        assert paths.find("media", [own, system]).control == own / "media" / "control.sock"


def test_none_is_not_found(short_path: Path) -> None:
    with pytest.raises(NotFoundError, match=f"no daemon is running in {short_path}"):
        paths.find(None, [short_path])
    with pytest.raises(NotFoundError, match="no daemon of instance 'media' is running in"):
        paths.find("media", [short_path / "nowhere"])


def test_a_dead_daemons_socket_and_strange_names_are_no_daemons(short_path: Path) -> None:
    with listening(short_path, "dead", "Not-A-Name"):
        pass
    (short_path / "file").write_text("")
    with listening(short_path, "media"):
        assert paths.running(short_path) == [paths.Running("media", short_path / "media" / "control.sock")]
