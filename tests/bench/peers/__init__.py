"""How each supervisor is told what to run, at its best reasonable settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.bench.fleet import Contender
from tests.bench.peers.circus import Circus
from tests.bench.peers.fleetd import Fleetd
from tests.bench.peers.floor import Floor
from tests.bench.peers.runit import Runit
from tests.bench.peers.supervisord import Supervisord
from tests.bench.programs import MissingError, compiled

MAKERS: Mapping[str, Callable[[Path], Contender]] = {
    "floor": lambda home: Floor(compiled("floor", home)),
    "fleetd": lambda home: Fleetd(),
    "supervisord": Supervisord,
    "circus": Circus,
    "runit": Runit,
}


def found(names: Sequence[str], home: Path, tell: Callable[[str], None]) -> list[Contender]:
    """Those of `names` that are on this machine or can be brought there, below `home`; of others a word is told."""
    contenders: list[Contender] = []
    for name in names:
        try:
            contenders.append(MAKERS[name](home))
        except MissingError as error:
            tell(f"{name} is left out: {error}")
    return contenders
