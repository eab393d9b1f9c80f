"""What is left in a unit's cgroup is killed, whoever else is in there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.process_world import alive

pytestmark = pytest.mark.process
NOBODY = 65534

KILL = """
import os, sys
from pathlib import Path
from fleetd.systemd import after_stop
after_stop.END_WITHIN = 0.5
cgroup = after_stop.Cgroup("x.service", Path(sys.argv[1]))
os.setresuid(*3 * (65534,))
print(cgroup.kill_others())
"""


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes processes of two users")
def test_one_of_another_user_is_left_and_the_others_are_killed(short_path: Path) -> None:
    foreign = subprocess.Popen(["sleep", "1000"])
    own = subprocess.Popen(["sleep", "1000"], user=NOBODY)
    short_path.chmod(0o755)
    (short_path / "cgroup.procs").write_text(f"{foreign.pid}\n{own.pid}\n")
    try:
        done = subprocess.run(
            [sys.executable, "-c", KILL, str(short_path)], capture_output=True, text=True, timeout=30, check=True
        )
        assert done.stdout == "False\n"
        assert own.wait(10) == -9
        assert alive(foreign.pid)
    finally:
        for each in (foreign, own):
            each.kill()
            each.wait()
