"""How each supervisor is told what to run, at its best reasonable settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench.fleet import Contender
from tests.bench.peers.fleetd import Fleetd
from tests.bench.peers.floor import Floor
from tests.bench.programs import MissingError

ALL = ("floor", "fleetd")


def found(names: Sequence[str], home: Path, floor: Path, tell: Callable[[str], None]) -> list[Contender]:
    """Those of `names` that are on this machine or can be brought there; of the others a word is told."""
    makers: dict[str, Callable[[], Contender]] = {"floor": lambda: Floor(floor), "fleetd": Fleetd}
    contenders: list[Contender] = []
    for name in names:
        try:
            contenders.append(makers[name]())
        except MissingError as error:
            tell(f"{name} is left out: {error}")
    return contenders
