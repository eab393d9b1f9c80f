"""Every command as a subprocess: usage errors, help, what is not there yet; one line, and the contract's exit code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fleetd.cli.commands import COMMANDS
from fleetd.cli.reference import reference

COMMAND = Path(sys.executable).parent / "fleetd"
ROOT = Path(__file__).parents[2]
LATER = [name for name, command in COMMANDS.items() if command.module is None]


def fleetd(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMMAND), *arguments],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_every_command_of_the_contract_is_there() -> None:
    local = {"start", "stop", "restart", "status", "scale", "pause", "resume", "reload", "logs", "events", "health"}
    files = {"check", "import", "init", "schema", "completion", "doctor"}
    assert set(COMMANDS) == local | files | {"signal", "rollouts", "systemd", "upgrade", "dashboard", "lock"}


def test_version() -> None:
    done = fleetd("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"fleetd \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_the_help_lists_every_command(arguments: list[str]) -> None:
    done = fleetd(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    for name in COMMANDS:
        assert re.search(rf"\b{name}\b", done.stdout)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_with_an_example(name: str) -> None:
    done = fleetd(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"\nExample:\n  fleetd {name}" in done.stdout


@pytest.mark.parametrize("name", LATER)
@pytest.mark.parametrize("rest", [[], ["-c", "x.toml"], ["--anything", "--", "sh"]])
def test_commands_that_are_not_there_yet_say_so(name: str, rest: list[str]) -> None:
    done = fleetd(name, *rest)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"fleetd {name}: not yet in this version\n")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("statsu", "fleetd: unknown command 'statsu', did you mean 'status'?; see `fleetd --help`"),
        ("--verbose", "fleetd: unknown option '--verbose'; see `fleetd --help`"),
        ("status --foo", "fleetd status: unrecognized arguments: --foo; see `fleetd status --help`"),
        ("status --instance", "fleetd status: argument --instance: expected one argument; see `fleetd status --help`"),
        ("status --watch", "fleetd status: --watch needs a terminal, and goes without --json"),
        ("status --instance ../x -c x.toml", "fleetd status: --instance: '../x' is no instance name"),
        ("start", "fleetd start: give -c FILE to run a daemon, or TARGET to start what was stopped in a running one"),
        ("start media --detach", "fleetd start: --detach is for the daemon"),
        ("start -c x.toml --no-wait", "fleetd start: --no-wait and --timeout need --detach or TARGET"),
        (
            "start -c /nonexistent/x.toml",
            "fleetd start: /nonexistent/x.toml: cannot be read: No such file or directory",
        ),
        ("start -c /nonexistent/X.toml", "fleetd start: the name of /nonexistent/X.toml: 'X' is no instance name"),
        ("restart --now --graceful", "fleetd restart: argument --graceful: not allowed with argument --now"),
        (
            "restart --max-parallel-hosts 0",
            "fleetd restart: argument --max-parallel-hosts: '0' is neither a count from 1 on nor a share such as 25%",
        ),
        ("restart --max-parallel-hosts 101%", "fleetd restart: argument --max-parallel-hosts: '101%' is neither"),
        ("restart --max-parallel-hosts 2 --local", "fleetd restart: --max-parallel-hosts needs a fleet"),
        ("restart --local --redis redis://h --fleet acme", "fleetd restart: --local is for this host alone"),
        ("rollouts soon", "fleetd rollouts: argument EPOCH: 'soon' is no epoch; `fleetd rollouts` lists them"),
        ("rollouts --halt --resume", "fleetd rollouts: argument --resume: not allowed with argument --halt"),
        (
            "restart --timeout soon",
            "fleetd restart: argument --timeout: 'soon' is not a duration (write 90s, 15m, 1h30m)",
        ),
        ("restart --timeout 99999999999", "fleetd restart: argument --timeout: '99999999999' is longer than ten years"),
        ("scale", "fleetd scale: the following arguments are required: POOL=N; see `fleetd scale --help`"),
        ("scale media", "fleetd scale: argument POOL=N: 'media' is not POOL=N, POOL=+N or POOL=-N"),
        ("scale media=x", "fleetd scale: argument POOL=N: 'media=x' is not POOL=N, POOL=+N or POOL=-N"),
        ("signal USR1", "fleetd signal: the following arguments are required: TARGET"),
        ("signal NOPE media", "fleetd signal: argument SIGNAL: 'NOPE' is no signal of this host"),
        ("logs --since yesterday", "fleetd logs: argument --since: 'yesterday' is no time"),
        ("check", "fleetd check: the following arguments are required: -c/--config"),
        (
            "init --framework laravle",
            "fleetd init: --framework: there is no framework 'laravle'; did you mean laravel?",
        ),
        ("completion tcsh", "fleetd completion: argument SHELL: invalid choice: 'tcsh'"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(call: str, message: str) -> None:
    done = fleetd(*call.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("where", [[], ["--local"], ["--redis", "redis://127.0.0.1:1", "--fleet", "acme"]])
@pytest.mark.parametrize("label", [b"caf\xe9", b"a\nb", b"\x1b[2J", b"a\tb", b"x" * 201])
def test_a_label_that_is_no_line_of_text_is_refused(label: bytes, where: list[str]) -> None:
    done = subprocess.run(
        [COMMAND, "restart", *where, b"--label", label], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "fleetd restart: --label: write one line of printable text, at most 200 characters\n"


NEEDS_A_DAEMON = [
    *("stop x", "restart", "status", "scale a=1", "pause", "resume", "reload", "logs", "events", "health"),
    *("signal USR1 x", "start x"),
]


@pytest.mark.parametrize("call", NEEDS_A_DAEMON)
def test_no_daemon_is_exit_code_3(call: str) -> None:
    name, *rest = call.split()
    done = fleetd(name, *rest, "--instance", "no-such-instance")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"fleetd {name}: no daemon of instance 'no-such-instance' is running in ")
    assert done.stderr.count("\n") == 1


def test_options_may_stand_between_targets() -> None:
    done = fleetd("status", "media", "--json", "mail:0", "--instance", "no-such-instance")
    assert done.returncode == 3


@pytest.mark.parametrize("framework", ["command", "rq", "laravel"])
def test_init_writes_a_valid_pool_file(tmp_path: Path, framework: str) -> None:
    file = tmp_path / "made.toml"
    file.write_text(fleetd("init", "--framework", framework).stdout)
    done = fleetd("check", "-c", str(file))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("default: ")


def test_check_says_how_long_a_stop_may_take(tmp_path: Path) -> None:
    file = tmp_path / "media.toml"
    file.write_text(
        '[pool.media]\ncommand = ["true"]\nstop-timeout = "1h"\n[pool.web]\ncommand = ["true"]\nafter = ["media"]\n'
    )
    assert fleetd("check", "-c", str(file)).stdout.splitlines()[-1] == "grace period: 1h30s"
    assert json.loads(fleetd("check", "-c", str(file), "--json").stdout)["grace_period"] == 3630
    file.write_text("[pool.media]\ncomand = 1\n")
    assert json.loads(fleetd("check", "-c", str(file), "--json").stdout)["grace_period"] is None


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--alive"], 3), (["--alive", "media"], 2), (["--alive", "--ready"], 2)]
)
def test_a_question_about_the_daemon_alone(arguments: list[str], code: int) -> None:
    done = fleetd("health", *arguments, "--instance", "no-such-instance")
    assert done.returncode == code
    assert done.stderr.count("\n") == 1


def test_a_defect_is_one_line_with_the_traceback_on_demand(tmp_path: Path) -> None:
    deaf = "type('Deaf', (), {'flush': lambda _: None})()"  # cannot be written to
    program = f"import sys; from fleetd.cli.main import main; sys.stdout = {deaf}; sys.exit(main(['--version']))"

    def run(**environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=30, check=False
        )

    done = run()
    assert done.returncode == 1
    assert done.stderr.startswith("fleetd: internal error: AttributeError: ")
    assert done.stderr.endswith("please report it (FLEETD_DEBUG=1 shows where)\n")
    assert done.stderr.count("\n") == 1
    assert "Traceback" in run(FLEETD_DEBUG="1").stderr


def test_a_reader_that_has_gone_is_no_error() -> None:
    done = subprocess.run(
        ["bash", "-c", f"{COMMAND} schema | head -n 1 >/dev/null"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("call", ["schema", "--version", "--help", "restart --help"])
def test_output_that_cannot_be_written_is_one_line(call: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [str(COMMAND), *call.split()], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, check=False
        )
    name = f"fleetd {call.split(maxsplit=1)[0]}".partition(" --")[0]
    assert done.stderr == f"{name}: the output could not be written: No space left on device\n"
    assert done.returncode == 1


@pytest.mark.parametrize("name", ["status", "stop", "health", "scale"])
def test_commands_import_only_what_they_need(name: str) -> None:
    program = (
        "import sys; from fleetd.cli.main import main;"
        f"main([{name!r}, *{['x=1'] if name == 'scale' else []!r}, '--instance', 'no-such-instance']);"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    heavy = {"asyncio", "rich", "redis", "psutil", "tomllib", "dataclasses", "fleetd.core.spec", "ssl", "subprocess"}
    assert set(done.stdout.split()) & heavy == set()


@pytest.mark.parametrize(
    "call", ["restart", "pause", "resume media", "events", "rollouts", "status --fleet", "events --fleet"]
)
def test_without_a_fleet_nothing_of_fleets_is_imported(call: str) -> None:
    program = (
        "import sys; from fleetd.cli.main import main;"
        f"main([*{call.split()!r}, '--instance', 'no-such-instance']); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert set(done.stdout.split()) & {"asyncio", "rich", "redis", "ssl", "fleetd.coordination"} == set()


def test_a_daemon_imports_only_what_it_needs(tmp_path: Path) -> None:
    file = tmp_path / "media.toml"
    file.write_text('[pool.media]\ncommand = ["sleep", "1000"]\n')
    program = (
        "import sys; from pathlib import Path; from fleetd import tls; from fleetd.cli import configuration, launch;"
        f"configuration.accepted([Path({str(file)!r})], 'media'); tls.import_asyncio_without();"
        "from fleetd.shell import daemon; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    heavy = {"fleetd.shell.http_server", "prometheus_client", "email", "http", "hashlib", "difflib", "ssl", "psutil"}
    assert set(done.stdout.split()) & (heavy | {"rich", "redis", "fleetd.brokers"}) == set()


def test_the_reference_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8") == reference()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_names_every_command(shell: str) -> None:
    done = fleetd("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    for name in set(COMMANDS) - set(LATER):
        assert name in done.stdout


def completed(*words: str) -> set[str]:
    """What bash offers for the last word."""
    script = f"""
        source <({COMMAND} completion bash)
        COMP_WORDS=({" ".join(f"'{word}'" for word in words)}); COMP_CWORD={len(words) - 1}
        _fleetd; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_completes_commands_options_and_choices() -> None:
    assert completed("fleetd", "re") == {"restart", "resume", "reload"}
    assert completed("fleetd", "restart", "--no") == {"--now", "--no-wait"}
    assert completed("fleetd", "completion", "") >= {"bash", "fish", "zsh"}
