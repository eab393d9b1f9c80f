"""Frames at all sizes: what stands where, that all of it fits, and that nothing in it moves a cursor."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pyte
import pytest
from msgspec.structs import replace
from rich.cells import cell_len

from fleetd.tui.bindings import BINDINGS
from fleetd.tui.bindings import shown as key_shown
from fleetd.tui.documents import Shape
from fleetd.tui.lines import Tone
from fleetd.tui.look import UNICODE, Look, look_of
from fleetd.tui.model import Model
from fleetd.tui.news import Happened, Printed, Seen
from fleetd.tui.screens.frame import frame
from fleetd.tui.update import update
from fleetd.views.picture import Picture
from tests.support.pictures import (
    ALONE,
    EPOCH,
    FLEET,
    LOOK,
    NOW,
    documents,
    event,
    figures,
    host,
    incident,
    member,
    pool,
    press,
    queue,
    rollout,
    shown,
    text,
    texts,
    worker,
)

TROUBLED = replace(
    FLEET,
    hosts=(member("web-1", incidents=[incident()]), member("web-2", incidents=[incident(), incident("long-wait")])),
    trouble="Redis is out of reach",
)
SIZES = [(60, 15), (60, 20), (80, 24), (120, 40), (200, 50), (300, 80)]
SCREENS = {
    "overview": (),
    "queues": ("tab", "down"),
    "host": ("h",),
    "pool": ("down", "enter", "down"),
    "worker": ("down", "enter", "enter"),
    "events": ("e",),
    "help": ("?",),
    "a question": ("down", "R"),
    "a number": ("down", "+"),
    "a filter": ("/", "m"),
}
NASTY = "\x1b[2J\x1b]0;owned\x07\x9b31m\x00\u202egnp\n\r\t語🙂e\u0301\U0001f468\u200d\U0001f469"
# What a line may hold to be written: colours, and where the cursor is put in it.
ALLOWED = re.compile(r"\x1b\[[0-9;]*m|\x1b\[[0-9]+G")


def emulated(model: Model, look: Look = LOOK) -> pyte.Screen:
    """A terminal on which the frame was written line by line, without wrapping."""
    screen = pyte.Screen(max(1, model.columns), max(1, model.rows))
    stream = pyte.Stream(screen)
    stream.feed("\x1b[?7l")
    for row, line in enumerate(frame(model, look)):
        stream.feed(f"\x1b[{row + 1};1H{look.painted(line, model.columns)}")
    return screen


def crowded(picture: Picture, columns: int, rows: int, *keys: str) -> Model:
    model, _ = update(shown(picture, columns, rows), Happened(documents(30)))
    model = press(model, *keys)
    if model.output is not None:
        model, _ = update(model, Printed(model.output.worker, tuple(f"line {n} {'x' * n}" for n in range(400))))
    return model


@pytest.mark.parametrize(("columns", "rows"), SIZES)
@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("picture", [ALONE, FLEET, TROUBLED], ids=["alone", "fleet", "trouble"])
def test_all_of_it_fits(picture: Picture, screen: str, columns: int, rows: int) -> None:
    model = crowded(picture, columns, rows, *SCREENS[screen])
    lines = texts(model)
    assert len(lines) == rows
    assert [line for line in lines if cell_len(line) > columns] == []


@pytest.mark.parametrize(("columns", "rows"), [(59, 24), (80, 14), (1, 1), (0, 0), (20, 2)])
def test_too_small_says_so(columns: int, rows: int) -> None:
    lines = texts(replace(shown(), columns=columns, rows=rows))
    assert len(lines) == rows
    assert all(len(line) <= columns for line in lines)
    assert columns < 20 or lines[0].startswith("too small")


@pytest.mark.parametrize(
    ("keys", "drains", "told"),
    [
        ((), False, "; q quits"),
        ((), True, "; q drains"),
        (("e",), False, "; q goes back"),
        (("?",), True, "; q goes back"),
        (("/",), False, ""),
    ],
)
def test_too_small_says_what_the_key_does(keys: tuple[str, ...], drains: bool, told: str) -> None:
    model = replace(press(shown(), *keys), columns=50, rows=10, leaving_drains=drains)
    assert texts(model)[1].rstrip() == f"60x15 is the least{told}"


# -- what stands where -------------------------------------------------------------------------------------------------


def test_the_fleet_at_120_columns() -> None:
    lines = texts(shown(FLEET, 120, 40))
    assert lines[0].startswith(" fleet acme  · 3 hosts live  · epoch 1790000123 raised ")
    assert ", 3m 3s ago " in lines[0]
    assert lines[1].startswith(
        " ✓ Redis   ✓ broker default   30 workers ●6 ○6 ▲3 ▼3 !3 ~3 ·3 ✗3   26 jobs/min   6 failed/h"
    )
    assert lines[2].startswith(" ▸ rollout 1790000123 running █████████░░░░░░░░░░░ 14 of 30 workers  v42  by kim")
    assert "web-2/app ████░░░░░░ 4/10 rolling   web-1/app ██████████ 10/10 done" in lines[3]
    assert lines[4].split()[:5] == ["POOL▾", "STATE", "WORKERS", "OK", "JOBS/MIN"]
    assert lines[5].startswith("▸ web-1/app  running  up 1d 1h  seen 1s ago  fleetd 0.1.0")
    assert re.match(r"    media +running +●○▲▼!~·✗ +2/8 +4\.2 +1 ", lines[6])
    at = next(index for index, line in enumerate(lines) if line.startswith("  QUEUE▾"))
    assert (
        " ".join(lines[at].split())
        == "QUEUE▾ POOL READY DELAYED RESERVED OLDEST WAIT JOBS/MIN LAST HOUR MEAN P95 FAILED/H"
    )
    assert re.match(r"  media +media +12 +5 +2 +33s +~40s +13 +[▁-█]+ +1\.3s +2\.9s +3", lines[at + 1])


def test_one_daemon_at_80_columns() -> None:
    lines = texts(shown(ALONE, 80, 24))
    assert lines[0].startswith(" app on web-1  · running  · pid 4242  · up 1d 1h  · fleetd 0.1.0")
    assert lines[1].startswith(" ✓ broker default   10 workers ●2 ○2")
    assert lines[2].split()[:4] == ["POOL▾", "STATE", "WORKERS", "OK"]
    assert lines[-1].startswith(" ? help  q quit  Enter open  Tab queues  r restart  R now  p pause")


def test_a_wait_that_was_measured_is_not_marked_as_a_guess() -> None:
    measured = {**pool("media"), "queues": [queue("media", wait_source="measured")]}
    assert " 40s" in text(shown(Picture(NOW, (host("web-1", measured),))))
    assert "~40s" not in text(shown(Picture(NOW, (host("web-1", measured),))))


@pytest.mark.parametrize(("seconds", "tones"), [(59.9, ["plain", "figure"]), (60.1, ["worrying", "worrying"])])
def test_a_wait_worries_beyond_a_minute(seconds: float, tones: list[str]) -> None:
    waits = {**pool("media"), "queues": [queue("media", oldest_age=seconds, wait=seconds)]}
    lines = frame(shown(Picture(NOW, (host("web-1", waits),))), LOOK)
    listed = next(line for line in lines if "".join(span.text for span in line.spans).startswith("  media "))
    assert [span.tone for span in listed.spans if span.text.strip(" ~") in {"59s", "1m 0s"}] == tones


def test_failures_are_red_for_an_hour() -> None:
    def tones(lately: int | None, *told: str) -> list[Tone]:
        jobs = figures(failed=1234, failed_lately=lately)
        failing = pool("media", 0, jobs=jobs, queues=[queue("media", jobs=jobs)])
        model = shown(Picture(NOW, (host("web-1", failing),)), 250, 40)
        lines = [*frame(model, LOOK), *frame(press(model, "down", "enter"), LOOK)]
        return [span.tone for line in lines for span in line.spans if span.text.strip() in told]

    assert tones(777, "777") == [Tone.BAD] * 5  # the head, twice, the pool, its queue, its page
    assert tones(777, "1234") == tones(None, "1234") == [Tone.PLAIN] * 3
    assert Tone.BAD not in tones(0, "0")


def test_more_workers_than_columns_are_numbers() -> None:
    lines = texts(shown(Picture(NOW, (host("web-1", pool("media", 800)),)), 80, 24))
    assert "●100 ○100" in lines[4]


def test_a_pool_at_200_columns() -> None:
    lines = texts(press(shown(ALONE, 200, 50), *SCREENS["pool"]))
    assert lines[2].startswith(
        " pool media   on web-1   framework laravel   state running   healthy 2 of 8   epoch 1790000123"
    )
    at = next(index for index, line in enumerate(lines) if line.startswith("  WORKER▾"))
    assert " ".join(lines[at].split()) == "WORKER▾ STATE PID UPTIME JOB FOR DONE FAILED MEMORY CPU STARTS LAST EXIT"
    first = r"  media:0 +● busy +4000 +1h 0m +Transcode \(media\) +12s +0 +0 +39\.1M +0\.7% +1 +max-jobs code 0, "
    assert re.match(first, lines[at + 1])
    assert re.match(r"▸ media:1 +○ idle +4001 ", lines[at + 2])
    assert re.match(r"  media:4 +! backoff +- +- +- +40 ", lines[at + 5])


@pytest.mark.parametrize(
    ("epochs", "shown_", "row"),
    [
        ((None, None), "-", " -"),
        ((EPOCH, EPOCH), str(EPOCH), f" {EPOCH}"),
        ((None, EPOCH), f"-..{EPOCH}", f" …{EPOCH}"),
        ((EPOCH - 9, EPOCH), f"{EPOCH - 9}..{EPOCH}", f" …{EPOCH}"),
    ],
)
def test_the_epochs_of_a_pool(epochs: tuple[int | None, int | None], shown_: str, row: str) -> None:
    workers = [worker(f"media:{slot}", epoch=epoch) for slot, epoch in enumerate(epochs)]
    model = shown(Picture(NOW, (host("web-1", {**pool("media", 2), "workers": workers}),)), 165)
    listed = next(line for line in texts(model) if line.startswith("    media"))
    assert listed.rstrip().endswith(row)
    assert shown_ == "-" or f"epoch {shown_} " in text(press(model, "down", "enter"))


def test_workers_with_a_long_name_are_told_apart() -> None:
    model = shown(Picture(NOW, (host("web-1", pool("transcode-of-videos", 12)),)), 60, 40)
    told = text(press(model, "down", "enter"))
    assert [f"{slot} " in told for slot in ("eos:0", "eos:9", "os:10", "os:11")] == [True] * 4


def test_a_worker_its_runs_and_its_output() -> None:
    model = crowded(ALONE, 100, 30, *SCREENS["worker"])
    lines = texts(model)
    assert lines[2].startswith(
        " worker media:0   on web-1    busy   pid 4000   up 1h 0m   job Transcode (media) for 12s"
    )
    assert sum("media:0: 2" in line for line in lines) == 5  # its last events
    assert any(line.startswith(" OUTPUT  line 400 of 400, follows") for line in lines)
    assert lines[-3].startswith("line 399 xxx")


def test_help_names_every_key_and_every_shape() -> None:
    told = text(press(shown(ALONE, 200, 80), "?"))
    for binding in (each for each in BINDINGS if not each.drains):
        assert f" {' '.join(map(key_shown, binding.keys))} " in told
        assert binding.help in told
    for shape in Shape:
        assert f"{UNICODE.shapes[shape]} {shape}" in told


def test_what_cannot_be_done_is_grey_and_says_why() -> None:
    told = text(press(shown(FLEET, 200, 80, frozenset()), "?"))
    assert "restart gracefully (not from afar" in told
    line = frame(shown(FLEET, 120, 40, frozenset()), LOOK)[-1]
    tones = {span.text.strip(): span.tone for span in line.spans}
    assert tones["S stop"] == "stopped"


def test_a_host_that_is_gone_or_cut_off() -> None:
    away = {"name": "acme", "connected": False, "epoch": EPOCH, "since": NOW - 500, "member": True}
    picture = replace(FLEET, hosts=(member("web-1", live=False, last_seen=NOW - 90), member("web-2", fleet=away)))
    told = text(shown(picture))
    assert "1 host live, 1 gone" in told
    assert "✗ gone, last seen 1m 30s ago" in told
    assert "✗ Redis out of reach" in told
    assert "gone, last seen 1m 30s ago" in text(press(shown(picture), "enter"))


def test_a_broker_out_of_reach() -> None:
    unread = {**pool("media"), "queues": [queue("media", ready=None, delayed=None, reserved=None, oldest_age=None)]}
    broker = {"name": "default", "reachable": False, "error": "connection refused"}
    told = text(shown(Picture(NOW, (host("web-1", unread, brokers=[broker]),))))
    assert "✗ broker default out of reach" in told
    assert re.search(r"  media +media +\? +- +- +-", told)
    assert "connection refused" in text(press(shown(Picture(NOW, (host("web-1", brokers=[broker]),))), "enter"))


def test_what_is_wrong_stands_in_the_head() -> None:
    lines = texts(shown(Picture(NOW, (host("web-1", incidents=[incident()]),))))
    assert lines[2].rstrip() == " ✗ crash-loop media for 3m 20s: 2 workers in a crash loop"
    assert not text(shown(ALONE)).count("crash-loop")


def test_hosts_with_the_same_trouble_have_one_incident() -> None:
    waits = incident("long-wait", queue="high", since=NOW - 3700)
    hosts = (member("web-1", incidents=[incident()]), member("web-2", incidents=[incident(since=NOW - 300), waits]))
    gone = member("web-3", live=False, incidents=[incident("given-up")])
    lines = texts(shown(Picture(NOW, (*hosts, gone), "acme")))
    assert lines[2].rstrip() == " ✗ long-wait media high on web-2/app for 1h 1m   crash-loop media on 2 hosts for 5m 0s"
    narrow = texts(shown(Picture(NOW, hosts, "acme"), 60, 20))
    assert narrow[2].rstrip() == " ✗ long-wait media high on web-2/app for 1h 1m   and 1 more"


ERROR = {"worker": "transcode:1", "reason": "start-failed", "lines": ["Traceback", "ImportError: no module codecs"]}
STUCK = {"name": "media-2/app", "state": "rolling", "done": 5, "total": 24, "error": ERROR}
WHY = " ✗ rollout 1790000123 halted media-2/app: transcode:1: start-failed: ImportError"


@pytest.mark.parametrize(
    ("columns", "halted_by", "told"),
    [
        (60, "media-2/app", WHY[:59] + "…"),
        (80, "media-2/app", WHY[:79] + "…"),
        (120, "media-2/app", WHY + ": no module codecs"),
        (200, "media-2/app", WHY + ": no module codecs  ████░░░░░░░░░░░░░░░░ 5 of 24 workers  release 43  by kim"),
        (80, "ann@ci", " ✗ rollout 1790000123 halted by ann@ci  ████░░░░░░░░░░░░░░░░ 5 of 24 workers"),
        (
            120,
            "ann@ci",
            " ✗ rollout 1790000123 halted by ann@ci  ████░░░░░░░░░░░░░░░░ 5 of 24 workers  release 43  by kim",
        ),
        (120, None, WHY + ": no module codecs"),
    ],
)
def test_a_rollout_that_was_halted_says_why(columns: int, halted_by: str | None, told: str) -> None:
    halted = rollout("halted", label="release 43", halted_by=halted_by, hosts=[STUCK])
    lines = texts(shown(replace(FLEET, rollouts=(halted,)), columns, 24))
    assert lines[2].partition("  since")[0].rstrip() == told
    assert lines[3].startswith("   media-2/app ██░░░░░░░░ 5/24 rolling")


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (60, " ▸ rollout 1790000123 running ████░░░░░░ 14 of 30 workers"),
        (80, " ▸ rollout 1790000123 running █████████░░░░░░░░░░░ 14 of 30 workers  v42  by kim"),
    ],
)
def test_a_rollout_has_its_bar_on_few_columns_too(columns: int, told: str) -> None:
    assert texts(shown(FLEET, columns, 24))[2].rstrip() == told


def rolled(state: str, done: int, *, story: tuple[dict[str, Any], ...] = ()) -> str:
    """The head of the view of a daemon that rolls a pool."""
    rolling = pool("media", rollout={"state": state, "total": 8, "done": done})
    model, _ = update(shown(Picture(NOW, (host("web-1", pool("mail"), rolling),))), Happened(story))
    return "\n".join(texts(model)[:4])


def test_a_daemon_s_own_rollout() -> None:
    halted = event(0, "rollout.halted", fields={"reason": "start-failed", "lines": ["one", "no codecs"]})
    assert "rolling  media ██░░░░░░░░ 2/8  " in rolled("running", 2)
    assert "media HALTED ██░░░░░░░░ 2/8  " in rolled("halted", 2)  # so long ago that no event of it is kept
    assert "media HALTED: start-failed: no codecs ██░░░░░░░░ 2/8  " in rolled(
        "halted", 2, story=(halted, event(1, "rollout.halted", pool="mail"))
    )
    assert "start-failed" not in rolled("halted", 2, story=(halted, event(1, "rollout.resumed")))
    assert "rolling" not in text(shown(ALONE))


@pytest.mark.parametrize(
    ("rollouts", "events", "epoch", "told"),
    [
        ((rollout("done"),), (), EPOCH, "raised"),
        ((), (event(0, "epoch.raised", fields={"epoch": 7}),), 7, "epoch 7 raised"),
        ((), (), 7, "epoch 7  "),
        ((), (), None, "no epoch yet"),
    ],
)
def test_when_the_epoch_was_raised(rollouts: Any, events: Any, epoch: int | None, told: str) -> None:
    fleet = {"name": "acme", "connected": True, "epoch": epoch, "since": NOW, "member": True}
    model = shown(replace(FLEET, hosts=(member(fleet=fleet),), rollouts=rollouts))
    assert told in texts(update(model, Happened(events))[0])[0]


# -- texts of strangers ------------------------------------------------------------------------------------------------


def poisoned(value: Any) -> Any:
    """The document with every text made nasty; what programs go by stays."""
    if isinstance(value, dict):
        kept = {"state", "wait_source", "kind"}
        return {key: each if key in kept else poisoned(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [poisoned(each) for each in value]
    return f"{value}{NASTY}" if isinstance(value, str) else value


@pytest.mark.parametrize("look", [LOOK, look_of("xterm", unicode=False), look_of("xterm", no_color=True)])
@pytest.mark.parametrize(("columns", "rows"), [(60, 15), (120, 40), (300, 80)])
@pytest.mark.parametrize("screen", SCREENS)
def test_no_escape_sequence_reaches_the_terminal(screen: str, columns: int, rows: int, look: Look) -> None:
    hosts = tuple(poisoned({**each, "incidents": [incident(queue="high")]}) for each in FLEET.hosts)
    picture = Picture(NOW, hosts, f"acme{NASTY}", (poisoned(rollout()),), f"trouble{NASTY}" if columns == 120 else None)
    model = replace(shown(picture, columns, rows), targets=())
    model, _ = update(model, Happened(tuple(poisoned(event(n, "worker.exited", f"media:0{NASTY}")) for n in range(30))))
    model = press(model, *SCREENS[screen])
    if model.output is not None:
        model, _ = update(model, Printed(model.output.worker, (NASTY * 100,) * 50))
    written = "".join(look.painted(line, columns) for line in frame(model, look))
    assert ALLOWED.sub("", written).replace("\u200d", "").isprintable()  # a joiner of emoji moves nothing
    assert [line for line in texts(model, look) if cell_len(line) > columns] == []
    if screen == "pool":
        names = [row for row in emulated(model, look).display if "running" in row or "busy" in row or "idle" in row]
        assert names


@pytest.mark.parametrize(
    "name", ["語語語語語語語語語語", "🙂" * 9, "e\u0301" * 9, "\U0001f468\u200d\U0001f469" * 5, "\uff41\uff42\uff43"]
)
def test_wide_characters_do_not_break_the_columns(name: str) -> None:
    workers = [
        worker("media:0", job={"id": "1", "name": name, "queue": None, "started_at": NOW - 5}),
        worker("media:1"),
    ]
    picture = Picture(NOW, (host("web-1", {**pool("media", 2), "workers": workers}),))
    model = press(shown(picture, 120, 24), *SCREENS["pool"])
    screen = emulated(model)
    rows = [row for row in range(24) if "media:" in "".join(screen.buffer[row][x].data for x in range(12))]
    titles = "".join(screen.buffer[rows[0] - 1][x].data for x in range(120))
    for title, value in (("PID", "400"), ("MEMORY", "39.1M"), ("LAST EXIT", "max-jobs")):
        at = titles.index(title) if title == "LAST EXIT" else titles.index(title) + len(title)
        for row in rows[-2:]:
            cells = [screen.buffer[row][x].data for x in range(120)]
            found = "".join(cell or "" for cell in (cells[at:] if title == "LAST EXIT" else cells[at - 8 : at]))
            assert value in found, (title, "".join(cells))


@pytest.mark.parametrize("number", [-1, 0, 2**63, 1e308, float("inf"), float("nan"), -1e18])
def test_numbers_of_strangers(number: float) -> None:
    strange = {
        **pool("media", 2),
        "jobs": {"done": None, "failed": None, "per_minute": number, "runtime_avg": number, "runtime_p95": number},
        "queues": [queue("media", wait=number, oldest_age=number)],
        "workers": [worker("media:0", started_at=number, cpu=number), worker("media:1", last_exit={"at": number})],
    }
    host = member("web-1", strange, started_at=number, last_seen=number, incidents=[incident(since=number)])
    model = shown(Picture(NOW, (host,), "acme"))
    for keys in SCREENS.values():
        assert len(texts(press(model, *keys))) == 40
    for _ in range(10):
        model = press(model, "s")
        assert texts(model)


def with_each_number(value: Any, number: int) -> Iterator[Any]:
    """The document with one of its numbers replaced, each in turn."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from ({**value, key: changed} for changed in with_each_number(each, number))
    elif isinstance(value, (list, tuple)):
        for place, each in enumerate(value[:1]):
            yield from ([*value[:place], changed, *value[place + 1 :]] for changed in with_each_number(each, number))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield number


@pytest.mark.parametrize("number", [10**400, -(10**5000)], ids=["no float", "no text"])
def test_numbers_that_cannot_be_reckoned_with(number: int) -> None:
    pictures = [
        *(Picture(NOW, (changed,), "acme") for changed in with_each_number(FLEET.hosts[0], number)),
        *(Picture(NOW, FLEET.hosts, "acme", (changed,)) for changed in with_each_number(rollout(), number)),
        Picture(NOW, ({"name": number, "last_seen": number},), "acme"),
    ]
    assert len(pictures) > 20
    for picture in pictures:
        model = shown(picture)
        for keys in ((), ("down", "enter"), ("down", "enter", "enter")):
            assert len(texts(press(model, *keys))) == 40


STRANGE_EVENTS = [
    {"worker": "media:0", "host": "web-1", "kind": ["x"], "at": 10**400, "text": 10**5000},
    {"worker": {}, "host": [10**5000], "kind": {}, "at": "x", "text": None},
    {"kind": "rollout.started", "pool": "media", "fields": {"slots": 10**400, "done": 1}},
    {"kind": "rollout.progress", "pool": "media", "fields": {"slots": 1, "done": -(10**400)}},
    {"kind": "epoch.raised", "fields": {"epoch": EPOCH}, "at": 10**400},
    {"kind": "rollout.halted", "pool": "media", "fields": {"reason": 10**5000}},
    {},
]


@pytest.mark.parametrize("strange", STRANGE_EVENTS, ids=range(len(STRANGE_EVENTS)))
@pytest.mark.parametrize("picture", [FLEET, ALONE])
def test_events_of_strangers(picture: Picture, strange: dict[str, Any]) -> None:
    model, _ = update(shown(picture), Happened((strange,)))
    for keys in SCREENS.values():
        assert len(texts(press(model, *keys))) == 40


# -- looks -------------------------------------------------------------------------------------------------------------


def test_states_are_told_by_shape_too() -> None:
    for glyphs in (LOOK.glyphs, look_of("xterm", unicode=False).glyphs):
        assert len(set(glyphs.shapes.values())) == len(Shape)
        assert all(cell_len(glyph) == 1 for glyph in glyphs.shapes.values())
    assert all(glyph.isascii() for glyph in look_of("xterm", unicode=False).glyphs.shapes.values())


def test_without_utf_8_all_is_ascii() -> None:
    look = look_of("xterm", unicode=False)
    written = "".join(look.painted(line, 120) for line in frame(shown(FLEET), look))
    assert written.isascii()
    assert "#o^v!~.X" in ALLOWED.sub("", written)


COLOUR = re.compile(r"\x1b\[([0-9;]*)m")


@pytest.mark.parametrize(
    ("look", "allowed"),
    [
        (look_of("xterm", no_color=True), r"[017]"),
        (look_of("vt100"), r"[017]"),
        (look_of("linux"), r"[017]|[34][0-7]|9[0-7]|10[0-7]"),
        (look_of("xterm-16color"), r"[017]|[34][0-7]|9[0-7]|10[0-7]"),
    ],
    ids=["NO_COLOR", "vt100", "linux", "16 colours"],
)
def test_colours_are_those_of_the_terminal(look: Look, allowed: str) -> None:
    for keys in SCREENS.values():
        for line in frame(press(shown(FLEET), *keys), look):
            for found in COLOUR.findall(look.painted(line, 120)):
                for part in found.split(";"):
                    assert re.fullmatch(allowed, part), found


def test_more_colours_where_there_are() -> None:
    def written(look: Look) -> str:
        return "".join(look.painted(line, 120) for line in frame(shown(FLEET), look))

    assert "38;5;" in written(look_of("screen-256color"))
    assert "38;2;" in written(look_of("xterm-256color", "truecolor"))


# -- time --------------------------------------------------------------------------------------------------------------


def test_2000_workers_cost_less_than_30_ms_a_frame() -> None:
    """A new picture, and all lines built and painted, at 200x50, in processor time: 8 ms on a quiet machine."""
    pools = [pool(f"pool-{number:02}", 100) for number in range(7)]
    picture = Picture(NOW, tuple(member(f"web-{n}", *(pools if n < 3 else pools[:6])) for n in (1, 2, 3)), "acme")
    model, _ = update(shown(picture, 200, 50), Happened(documents(1000)))
    assert model.scene is not None
    assert (len(model.scene.crews), sum(len(crew.shapes) for crew in model.scene.crews)) == (20, 2000)
    for keys in ((), ("down", "enter"), ("s",)):
        at = press(model, *keys)
        assert min(_frame_time(at, picture) for _ in range(12)) < 0.030


def _frame_time(model: Model, picture: Picture) -> float:
    began = time.process_time()
    model, _ = update(model, Seen(picture))
    for line in frame(model, LOOK):
        LOOK.painted(line, 200).encode()
    return time.process_time() - began


def test_only_what_fits_is_built() -> None:
    def spans(workers: int) -> int:
        model = shown(Picture(NOW, (host("web-1", pool("media", workers)),)), 80, 24)
        return sum(len(line.spans) for line in frame(press(model, "down", "enter"), LOOK))

    assert spans(5000) < spans(50) + 20
