"""The `fleetd` command, held each time when it is about to ask for its restart, or to ask again.

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
    async def request(self, request: Request) -> Rollout | None:
        hold()
        return await super().request(request)


def hold() -> None:
    """Nothing else is done meanwhile."""
    GATE.touch()
    while GATE.exists():
        time.sleep(0.01)


coordinator.RedisCoordinator = HeldCoordinator  # where open_fleet finds it
sys.exit(main())
