"""What is shipped for containers, and what the Dockerfile among it says."""

from __future__ import annotations

import json
from pathlib import Path

DOCKER = Path(__file__).parents[2] / "configs" / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()


def instruction(name: str) -> list[str]:
    """The words of the last exec-form instruction of this name."""
    line = [line for line in DOCKERFILE.splitlines() if line.startswith(f"{name} ")][-1]
    words: list[str] = json.loads(line[line.index("[") :])
    return words
