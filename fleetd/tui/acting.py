"""What an act would be about: the request, in words for the question before it, or why it cannot be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from fleetd.tui.documents import Shape
from fleetd.tui.lines import visible
from fleetd.tui.model import Model, Question, Screen
from fleetd.tui.rows import Row, key_of, rows
from fleetd.tui.scene import Crew, Host, Scene
from fleetd.views.counted import counted
from fleetd.views.picture import Request, Verb

_ASKED: Mapping[Verb, str] = {
    Verb.RESTART: "Restart {} gracefully",
    Verb.RESTART_NOW: "Restart {} NOW, losing jobs in hand",
    Verb.PAUSE: "Pause {}",
    Verb.RESUME: "Resume {}",
    Verb.SCALE: "Scale {}",
    Verb.STOP: "STOP {}",
    Verb.START: "Start {}",
    Verb.HALT: "HALT {} on every host",
    Verb.GO_ON: "Go on with {}",
}
_OF_ROLLOUTS = frozenset({Verb.HALT, Verb.GO_ON})
_MOST_NAMED = 3


class Act(NamedTuple):
    """What would be done, in words, and to how many; `wide` is the same on all hosts of a fleet, where it can be."""

    request: Request
    what: str
    counted: str = ""
    wide: Request | None = None
    counted_wide: str = ""

    @property
    def question(self) -> str:
        """For the person who is to confirm it."""
        return _ASKED[self.request.verb].format(self.what)


class Refusal(NamedTuple):
    """Why it cannot be asked for."""

    why: str


def proposed(model: Model, verb: Verb) -> Act | Refusal:
    """What the verb would do to what is chosen."""
    refused = refusal(model, verb)
    if refused is not None:
        return refused
    return _of_rollout(model, verb) if verb in _OF_ROLLOUTS else _of_chosen(model, verb)


def refusal(model: Model, verb: Verb) -> Refusal | None:
    """Why the verb cannot be asked for now, whatever is chosen; None: it can."""
    scene = model.scene
    if scene is None:
        return Refusal("nothing is known yet")
    if verb not in model.can:
        return Refusal(_cannot(verb, is_fleet=scene.fleet is not None))
    if scene.trouble is not None:
        return Refusal(f"not now: {'Redis' if scene.fleet is not None else 'the daemon'} does not answer")
    return None


def leaving(model: Model) -> Question:
    """What is asked before the view is left where that drains."""
    crews = [] if model.scene is None else [crew for crew in model.scene.crews if crew.host.live]
    return Question(None, "Leave and DRAIN all workers", _counted(crews) if crews else "", is_dangerous=True)


def chosen(model: Model) -> Row | None:
    """What the keys are about."""
    place, scene = model.place, model.scene
    if scene is None:
        return None
    if place.screen is Screen.WORKER:
        crew = scene.crew(place.host, place.pool)
        workers = () if crew is None else crew.pool.workers
        worker = next((each for each in workers if key_of(each) == place.worker), None)
        name = None if place.worker is None else place.worker[1]
        worker = worker or next((each for each in workers if each.name == name), None)
        return None if worker is None or crew is None else Row(key_of(worker), crew.host, crew, worker=worker)
    listed = rows(model)
    if listed:
        return listed[min(place.cursor.index, len(listed) - 1)]
    crew = scene.crew(place.host, place.pool)
    return None if crew is None else Row(("pool", crew.host.name, crew.pool.name), crew.host, crew)


def _cannot(verb: Verb, *, is_fleet: bool) -> str:
    if verb in _OF_ROLLOUTS:
        return "rollouts are a fleet's: look at the fleet (fleetd status --fleet)"
    if is_fleet:
        return "not from afar: a fleet's hosts take restarts and pauses only; look at the host's own daemon"
    return "this daemon cannot be asked for it"


def _of_rollout(model: Model, verb: Verb) -> Act | Refusal:
    assert model.scene is not None
    rollouts = model.scene.rollouts
    state = "running" if verb is Verb.HALT else "halted"
    found = next((rollout for rollout in rollouts if rollout.state == state), None)
    if found is None:
        return Refusal(f"no rollout is {'under way' if verb is Verb.HALT else 'halted'}")
    label = "" if found.label is None else f" ({visible(found.label)})"
    return Act(Request(verb, epoch=found.epoch), f"rollout {found.epoch}{label}")


def _of_chosen(model: Model, verb: Verb) -> Act | Refusal:
    row, scene = chosen(model), model.scene
    assert scene is not None
    if row is None:
        return Refusal("nothing is chosen")
    if row.host is not None and not row.host.live:
        return Refusal(f"{visible(row.host.name)} is gone")
    if row.worker is not None and verb is not Verb.SCALE and scene.fleet is None:
        return Act(Request(verb, (row.worker.name,)), visible(row.worker.name))
    everywhere = _like(scene, row)
    crews = everywhere if row.host is None else _on_host(everywhere, row.host)
    refused = _unfit(scene, row, crews, verb)
    return _of_crews(model, row, crews, everywhere, verb) if refused is None else refused


def _like(scene: Scene, row: Row) -> list[Crew]:
    """The pools of that name wherever they are, all of them for a host."""
    pool = row.crew.pool.name if row.crew is not None else None if row.flow is None else row.flow.pool
    return [crew for crew in scene.crews if crew.host.live and pool in {None, crew.pool.name}]


def _on_host(crews: list[Crew], host: Host) -> list[Crew]:
    """Those that an act on the host reaches: in a fleet the pools of each of its instances."""
    return [crew for crew in crews if crew.host.host == host.host]


def _unfit(scene: Scene, row: Row, crews: list[Crew], verb: Verb) -> Refusal | None:
    is_host = row.crew is None and row.flow is None
    if not crews:
        return Refusal(f"{visible(row.host.name)} has no pools" if is_host and row.host is not None else "it is gone")
    if is_host and verb is Verb.SCALE:
        return Refusal("choose a pool: hosts are not scaled")
    cut = next((crew.pool.name for crew in crews if crew.pool.cut), None)
    if cut is not None and (scene.fleet is not None or verb is Verb.SCALE):
        whole = "a fleet acts on whole pools" if scene.fleet is not None else "pools are scaled as a whole"
        return Refusal(f"only some workers of {visible(cut)} are shown, and {whole}")
    return None


def _of_crews(model: Model, row: Row, crews: list[Crew], everywhere: list[Crew], verb: Verb) -> Act:
    """By name where that is not all: what a narrowed view does not show is not reached."""
    scene = model.scene
    assert scene is not None
    is_all = row.crew is None and row.flow is None and not model.targets
    named = _names(crews)
    what = "all pools" if is_all else _told(named)
    if row.host is None and len(hosts := {crew.host.host for crew in crews}) > 1:
        what += f" on {len(hosts)} hosts"
    elif row.host is not None and (scene.fleet is not None or row.crew is None):
        what += f" on {_where(row.host, crews)}"
    if scene.fleet is None or row.host is None:  # a stop of everything would end the daemon, too: by name there
        return Act(Request(verb, named), what, _counted(crews))
    act = Act(Request(verb, () if is_all else named, row.host.host), what, _counted(crews))
    if any(crew.pool.cut for crew in everywhere):  # a fleet acts on whole pools
        return act
    return act._replace(wide=Request(verb, () if is_all else _names(everywhere)), counted_wide=_counted(everywhere))


def _names(crews: list[Crew]) -> tuple[str, ...]:
    """Pools, and of one that is not shown whole its workers."""
    named = (each for crew in crews for each in (_workers(crew) if crew.pool.cut else (crew.pool.name,)))
    return tuple(dict.fromkeys(named))


def _workers(crew: Crew) -> tuple[str, ...]:
    return tuple(worker.name for worker in crew.pool.workers)


def _told(names: tuple[str, ...]) -> str:
    shown = names if len(names) <= _MOST_NAMED else names[: _MOST_NAMED - 1]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return visible(", ".join(shown) + more)


def _where(host: Host, crews: list[Crew]) -> str:
    """The host, with its instances where there are several."""
    instances = dict.fromkeys(crew.host.name.partition("/")[2] for crew in crews)
    told = f" ({', '.join(instances)})" if len(instances) > 1 else ""
    return visible(f"{host.host}{told}")


def _counted(crews: list[Crew]) -> str:
    workers = sum(len(crew.shapes) for crew in crews)
    busy = sum(crew.tally.get(Shape.BUSY, 0) for crew in crews)
    told = counted(workers, "worker")
    return f"{told}, {busy} busy" if busy else told
