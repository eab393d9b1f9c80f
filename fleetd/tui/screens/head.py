"""The head of every screen: what is looked at, whether it is well, and the rollout that is under way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from fleetd.tui.documents import HostDocument, Shape
from fleetd.tui.figures import age, clock, count, moment, rate, since
from fleetd.tui.lines import Line, Span, Tone, beside, fitted, visible, width_of
from fleetd.tui.look import TONES, Look
from fleetd.tui.model import Model
from fleetd.tui.rolling import raised_at
from fleetd.tui.scene import OpenIncident, Scene
from fleetd.tui.screens import rollouts
from fleetd.views.counted import counted

_GAP = Span("   ")
_ROOMY = 100  # columns
_WORDY = 150  # columns


def head(model: Model, look: Look) -> list[Line]:
    """Two lines, one more while there is trouble, one while incidents are open, and some for a rollout."""
    if model.scene is None:
        title = beside([Span(" fleetd", Tone.TITLE)], [Span(f"{clock(model.now)} ", Tone.TITLE)], model.columns)
        return [Line(title, ground=Tone.TITLE), Line([Span(" looking …", Tone.DIM)])]
    lines = [_title(model, model.scene, look), _well(model, model.scene, look)]
    if model.scene.trouble is not None:
        lines.append(_trouble(model, model.scene, look))
    if model.scene.incidents:
        lines.append(_incidents(model, model.scene, look))
    return [*lines, *rollouts.draw(model, look)]


def head_height(model: Model) -> int:
    """How many lines it takes."""
    scene = model.scene
    if scene is None:
        return 2
    return 2 + (scene.trouble is not None) + bool(scene.incidents) + rollouts.height(model)


# -- who -------------------------------------------------------------------------------------------------------------


def _title(model: Model, scene: Scene, look: Look) -> Line:
    left = _of_fleet(model, scene) if scene.fleet is not None else _of_daemon(model, scene)
    spans = [Span(f" {text}" if not index else f"  {look.glyphs.dot} {text}") for index, text in enumerate(left)]
    return Line(beside(spans, [Span(f" {clock(model.now)} ")], model.columns), ground=Tone.TITLE)


def _of_fleet(model: Model, scene: Scene) -> Iterator[str]:
    live = sum(host.live for host in scene.hosts)
    gone = len(scene.hosts) - live
    yield f"fleet {visible(scene.fleet or '')}"
    yield f"{counted(live, 'host')} live" + (f", {gone} gone" if gone else "")
    yield _epoch(model, scene.epoch)


def _of_daemon(model: Model, scene: Scene) -> Iterator[str]:
    document = scene.hosts[0].document if scene.hosts else None
    if document is None:
        yield "fleetd"
        return
    yield f"{visible(document.instance)} on {visible(document.host)}"
    yield visible(document.state) if scene.trouble is None else "does not answer"
    yield f"pid {document.pid}"
    yield f"up {since(document.started_at, model.now)}"
    if document.fleet is not None:
        yield f"fleet {visible(document.fleet.name)}"
        yield _epoch(model, document.fleet.epoch)
    yield f"fleetd {visible(document.version)}"


def _epoch(model: Model, epoch: int | None) -> str:
    if epoch is None:
        return "no epoch yet"
    at = raised_at(model, epoch)
    if at is None:
        return f"epoch {epoch}"
    when = clock(at) if abs(model.now - at) < 12 * 3600 else moment(at)
    if model.columns < _ROOMY:
        return f"epoch {epoch}, {since(at, model.now)} ago"
    return f"epoch {epoch} raised {when}, {since(at, model.now)} ago"


# -- how -------------------------------------------------------------------------------------------------------------


def _well(model: Model, scene: Scene, look: Look) -> Line:
    spans = [Span(" ")]
    for told in (*_reached(scene, look), _counted(model, scene, look)):
        spans += [*told, _GAP]
    crews = [crew for crew in scene.crews if crew.host.live]
    known = [crew.pool.jobs for crew in crews]
    per_minute = [jobs.per_minute for jobs in known if jobs.per_minute is not None]
    failed = [jobs.failed_lately for jobs in known if jobs.failed_lately is not None]
    if per_minute:
        spans += [Span(rate(sum(per_minute)), Tone.FIGURE), Span(" jobs/min"), _GAP]
    if failed:
        spans += [Span(count(sum(failed)), Tone.BAD if sum(failed) else Tone.FIGURE), Span(" failed/h")]
    return Line(fitted(spans, model.columns))


def _reached(scene: Scene, look: Look) -> Iterator[list[Span]]:
    documents = [host.document for host in scene.hosts if host.live and host.document is not None]
    if scene.fleet is not None:
        yield _mark("Redis", scene.trouble is None, look)
    elif documents and documents[0].fleet is not None:
        fleet = documents[0].fleet
        yield _mark("Redis", fleet.connected, look)
        if fleet.connected and not fleet.member:
            yield [Span("another daemon has this one's name", Tone.BAD)]
    yield from _brokers(documents, look)


def _brokers(documents: list[HostDocument], look: Look) -> Iterator[list[Span]]:
    """Each broker by its name: whether all hosts that read it can."""
    told: dict[str, bool] = {}
    for document in documents:
        for broker in document.brokers:
            if broker.reachable is not None:
                told[broker.name] = told.get(broker.name, True) and broker.reachable
    for name, reachable in sorted(told.items()):
        yield _mark(f"broker {visible(name)}", reachable, look)


def _mark(what: str, well: bool, look: Look) -> list[Span]:  # noqa: FBT001 - reads as one
    mark = Span(f"{look.glyphs.good} ", Tone.GOOD) if well else Span(f"{look.glyphs.bad} ", Tone.BAD)
    return [mark, Span(what, Tone.PLAIN if well else Tone.BAD), *([] if well else [Span(" out of reach", Tone.BAD)])]


def _counted(model: Model, scene: Scene, look: Look) -> list[Span]:
    """All workers by their shapes."""
    tally: Counter[Shape] = Counter()
    for crew in scene.crews:
        if crew.host.live:
            tally.update(crew.tally)
    total = sum(tally.values())
    spans = [Span(counted(total, "worker"))]
    for shape in Shape:
        if tally[shape]:
            word = f" {tally[shape]} {shape}" if model.columns >= _WORDY else f"{tally[shape]}"
            spans += [Span(" "), Span(f"{look.glyphs.shapes[shape]}{word}", TONES[shape])]
    return spans


def _trouble(model: Model, scene: Scene, look: Look) -> Line:
    seen = f"shown is what was seen {age(max(0.0, model.now - scene.seen_at))} ago" if scene.hosts else ""
    left = [Span(f" {look.glyphs.bad} {visible(scene.trouble or '')}")]
    return Line(beside(left, [Span(f"  {seen} ")] if seen else [], model.columns), ground=Tone.ALARM)


# -- incidents ---------------------------------------------------------------------------------------------------------


def _incidents(model: Model, scene: Scene, look: Look) -> Line:
    """As many as fit, that which is open for longest first; where it is the only one, also how it shows."""
    spans = [Span(f" {look.glyphs.bad} ", Tone.BAD)]
    left = model.columns - width_of(spans)
    for index, incident in enumerate(scene.incidents):
        told = [
            Span(visible(" ".join(incident.subject)[:80]), Tone.BAD),
            *_where(scene, incident),
            Span(f" for {since(incident.since, model.now)}", Tone.DIM),
        ]
        if len(scene.incidents) == 1 and incident.text:
            told.append(Span(f": {visible(incident.text[:200])}"))
        rest = len(scene.incidents) - index
        more = f"and {rest} more"
        if index and width_of(told) + (len(more) if rest > 1 else 0) > left:
            spans.append(Span(more, Tone.BAD))
            break
        spans += [*told, _GAP]
        left -= width_of(told) + len(_GAP.text)
    return Line(fitted(spans, model.columns))


def _where(scene: Scene, incident: OpenIncident) -> list[Span]:
    if scene.fleet is None:
        return []
    hosts = incident.hosts
    return [Span(f" on {visible(hosts[0][:40]) if len(hosts) == 1 else f'{len(hosts)} hosts'}")]
