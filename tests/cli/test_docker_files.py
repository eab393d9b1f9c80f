"""configs/docker: files that fit each other, and fleetd."""

from __future__ import annotations

import shlex

import yaml

from fleetd.core.drain_time import grace_period
from tests.support.dockerfile import DOCKER, DOCKERFILE, instruction
from tests.support.pool_files import load_text


def test_the_pool_file_is_valid_and_the_grace_periods_are_what_it_needs() -> None:
    loaded = load_text((DOCKER / "app.toml").read_text())
    assert not loaded.problems
    assert loaded.spec is not None
    needed = grace_period(loaded.spec)
    compose = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]["workers"]
    pod = yaml.safe_load((DOCKER / "deployment.yaml").read_text())["spec"]["template"]["spec"]
    assert compose["stop_grace_period"] == f"{needed}s"
    assert pod["terminationGracePeriodSeconds"] == needed
    assert f"--stop-timeout {needed} " in DOCKERFILE


def test_the_probes_are_commands_of_fleetds() -> None:
    (worker,) = yaml.safe_load((DOCKER / "deployment.yaml").read_text())["spec"]["template"]["spec"]["containers"]
    assert worker["readinessProbe"]["exec"]["command"] == shlex.split("fleetd health --ready")
    assert worker["livenessProbe"]["exec"]["command"] == shlex.split("fleetd health --alive")


def test_the_image_is_made_of_files_that_there_are() -> None:
    copied = [
        line.split()[1:-1] for line in DOCKERFILE.splitlines() if line.startswith("COPY ") and "--from" not in line
    ]
    assert all((DOCKER.parents[1] / name).exists() for names in copied for name in names)
    assert {"fleetd", "systemd"} <= {name for names in copied for name in names}, "the package has a link into systemd"
    assert instruction("CMD") == ["-c", "/etc/fleetd/app.toml"]
    assert instruction("ENTRYPOINT") == ["fleetd", "start"]
