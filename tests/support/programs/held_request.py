"""The `fleetd` command, held when it has all it needs and is about to ask for its restart.

Its first argument is a file that it makes then; it goes on once that file is gone.
"""

import sys
import time
from pathlib import Path

from fleetd.cli.main import main
from fleetd.coordination.port import Request, Rollout
from fleetd.coordination.redis import coordinator

GATE = Path(sys.argv.pop(1))


class HeldCoordinator(coordinator.RedisCoordinator):
    is_held = True

    async def request(self, request: Request) -> Rollout | None:
        if self.is_held:
            self.is_held = False
            hold()
        return await super().request(request)


def hold() -> None:
    """Nothing else is done meanwhile."""
    GATE.touch()
    while GATE.exists():
        time.sleep(0.01)


coordinator.RedisCoordinator = HeldCoordinator  # where open_fleet finds it
sys.exit(main())
