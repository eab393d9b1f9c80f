"""What each key does, and what news does: tables over the pure update."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from fleetd.errors import ExitCode
from fleetd.tui.bindings import BINDINGS, Action, Mode, bound
from fleetd.tui.documents import Shape
from fleetd.tui.model import Message, Model, Place, Screen
from fleetd.tui.news import (
    Answered,
    Do,
    Happened,
    Leave,
    OutputEnded,
    Passed,
    Printed,
    Redraw,
    Resized,
    Seen,
    Suspend,
)
from fleetd.tui.update import update, wanted
from fleetd.views.picture import Picture, Request, Verb
from tests.support.pictures import (
    ALONE,
    EPOCH,
    FLEET,
    NOW,
    documents,
    event,
    host,
    incident,
    member,
    pool,
    press,
    pressed,
    rollout,
    shown,
    text,
    texts,
    worker,
)

AFAR = frozenset({Verb.RESTART, Verb.PAUSE, Verb.RESUME})
RESTART = Request(Verb.RESTART, ("media",))

# What is on the screen of ALONE: the host, its pools media and mail, and their queues.
AT_POOL = ("down",)
IN_POOL = ("down", "enter")
AT_WORKER = (*IN_POOL, "enter")


def place(model: Model) -> Place:
    return model.place


def cursor(model: Model) -> int:
    return model.place.cursor.index


def asked(model: Model) -> Any:
    return model.asking


# Each action: the keys before, and what the model and the wishes are like after each of its keys.
ROWS: dict[Action, tuple[tuple[str, ...], Any]] = {
    Action.UP: (("down", "down"), lambda m, _: cursor(m) == 1),
    Action.DOWN: ((), lambda m, _: cursor(m) == 1),
    Action.PAGE_UP: (("end",), lambda m, _: cursor(m) == 0),
    Action.PAGE_DOWN: ((), lambda m, _: cursor(m) == 2),
    Action.FIRST: (("end",), lambda m, _: cursor(m) == 0),
    Action.LAST: ((), lambda m, _: cursor(m) == 2),
    Action.LEFT: (("e", "right", "right"), lambda m, _: place(m).shift == 20),
    Action.RIGHT: (("e",), lambda m, _: place(m).shift == 20),
    Action.OPEN: (AT_POOL, lambda m, _: (place(m).screen, place(m).pool) == (Screen.POOL, "media")),
    Action.BACK: (IN_POOL, lambda m, _: place(m).screen is Screen.OVERVIEW),
    Action.OTHER_PANE: ((), lambda m, _: place(m).pane == 1),
    Action.EVENTS: ((), lambda m, _: place(m).screen is Screen.EVENTS and place(m).at_end),
    Action.NOTABLE: (("e",), lambda m, _: place(m).notable),
    Action.LOOK_AT_HOST: (IN_POOL, lambda m, _: (place(m).screen, place(m).host) == (Screen.HOST, "web-1")),
    Action.FOLLOW: (IN_POOL, lambda m, _: place(m).screen is Screen.WORKER and place(m).at_end),
    Action.FILTER: ((), lambda m, _: asked(m) is not None),
    Action.SORT: ((), lambda m, _: place(m).cursor.sort == 1),
    Action.REVERSE: ((), lambda m, _: place(m).cursor.reverse),
    Action.HELP: ((), lambda m, _: place(m).screen is Screen.HELP),
    Action.QUIT: ((), lambda _, w: w == (Leave(ExitCode.DONE),)),
    Action.DRAIN: ((), lambda m, w: w == () and asked(m).text == "Leave and DRAIN all workers"),
    Action.INTERRUPT: ((), lambda _, w: w == (Leave(ExitCode.INTERRUPTED),)),
    Action.SUSPEND: ((), lambda _, w: w == (Suspend(),)),
    Action.REDRAW: ((), lambda _, w: w == (Redraw(),)),
    Action.RESTART: (AT_POOL, lambda m, _: asked(m).request == RESTART),
    Action.RESTART_NOW: (AT_POOL, lambda m, _: asked(m).request == Request(Verb.RESTART_NOW, ("media",))),
    Action.PAUSE: (AT_POOL, lambda m, _: asked(m).request == Request(Verb.PAUSE, ("media",))),
    Action.RESUME: (AT_POOL, lambda m, _: asked(m).request == Request(Verb.RESUME, ("media",))),
    Action.MORE: (AT_POOL, lambda m, _: (asked(m).request.targets, asked(m).typed) == (("media",), "+1")),
    Action.FEWER: (AT_POOL, lambda m, _: (asked(m).request.targets, asked(m).typed) == (("media",), "-1")),
    Action.STOP: (AT_POOL, lambda m, _: asked(m).request == Request(Verb.STOP, ("media",))),
    Action.START: (AT_POOL, lambda m, _: asked(m).request == Request(Verb.START, ("media",))),
    Action.HALT: ((), lambda m, _: m.message.text == "halt the rollout that is under way: no rollout is under way"),
    Action.GO_ON: ((), lambda m, _: m.message.text == "go on with the rollout that is halted: no rollout is halted"),
    Action.YES: ((*AT_POOL, "r"), lambda m, w: w == (Do(RESTART),) and m.asking is None and m.under_way == (RESTART,)),
    Action.EVERYWHERE: ((*AT_POOL, "r"), lambda m, w: w == () and m.asking is not None),  # there is one host
    Action.NO: ((*AT_POOL, "R"), lambda m, w: w == () and m.asking is None),
    Action.ACCEPT: (
        (*AT_POOL, "+"),
        lambda m, w: w == (Do(Request(Verb.SCALE, ("media",), change="+1")),) and m.asking is None,
    ),
    Action.ERASE: ((*AT_POOL, "+"), lambda m, _: asked(m).typed == "+"),
}


# The same action by another binding, which holds elsewhere.
ELSEWHERE: dict[tuple[Action, Screen | Mode], tuple[tuple[str, ...], Any]] = {
    (Action.BACK, Screen.OVERVIEW): (("/", "m", "enter"), lambda m, _: place(m).filter == ""),
    (Action.BACK, Screen.HELP): (("?",), lambda m, _: place(m).screen is Screen.OVERVIEW),
    (Action.NO, Mode.FILTERING): (("/", "m"), lambda m, _: place(m).filter == "" and m.asking is None),
}


def test_every_action_is_in_the_table() -> None:
    assert {binding.action for binding in BINDINGS} == set(ROWS) == set(Action)


@pytest.mark.parametrize(("index", "key"), [(index, key) for index, b in enumerate(BINDINGS) for key in b.keys])
def test_keys(index: int, key: str) -> None:
    binding = BINDINGS[index]
    before, after = next(
        (row for (action, where), row in ELSEWHERE.items() if action is binding.action and where in binding.where),
        ROWS[binding.action],
    )
    model = press(replace(shown(), leaving_drains=binding.drains is True), *before)
    assert bound(model, key) is binding, "the row leads to a place where another binding holds"
    assert after(*pressed(model, key)), model


@pytest.mark.parametrize("before", [AT_WORKER, (*AT_POOL, "e"), ("?",)])
def test_back_from_every_screen(before: tuple[str, ...]) -> None:
    model = press(shown(), *before)
    assert press(model, "escape").places == model.places[:-1]


def test_dangerous_keys_are_upper_case_and_no_others_act() -> None:
    acting = [binding for binding in BINDINGS if binding.verb is not None]
    assert {key.isupper() for binding in acting if binding.is_dangerous for key in binding.keys} == {True}
    assert not any(key.isupper() for binding in acting if not binding.is_dangerous for key in binding.keys)
    assert {binding.verb for binding in acting} == set(Verb)


def test_nothing_is_done_without_a_yes() -> None:
    for binding in BINDINGS:
        if binding.verb is not None:
            for key in binding.keys:
                _, wishes = pressed(shown(FLEET), "down", key, "n", "escape", "x", " ")
                assert not any(isinstance(wish, Do) for wish in wishes), key


def test_leaving_is_asked_about_where_it_drains() -> None:
    model = replace(shown(columns=60), leaving_drains=True)
    assert "q drain" in texts(model)[-1]
    asking, wishes = pressed(model, "q")
    assert "Leave and DRAIN all workers?  (10 workers, 2 busy)" in text(asking)
    assert wishes == ()
    assert pressed(asking, "y")[1] == (Leave(),)
    for key in ("n", "q", "escape"):
        after, wishes = pressed(asking, key)
        assert (after.asking, wishes) == (None, ())
    small, _ = update(model, Resized(50, 10))
    assert "Leave and DRAIN all workers?" in text(press(small, "q"))
    assert pressed(replace(model, scene=None), "q", "y")[1] == (Leave(),)
    told = text(press(replace(model, columns=120, rows=80), "?"))
    assert "leave the view and drain all workers: asks first" in told
    assert "nothing else ends" not in told


@pytest.mark.parametrize("drains", [False, True])
@pytest.mark.parametrize("key", ["e", "?"])
def test_q_goes_back_from_what_is_only_looked_at(key: str, drains: bool) -> None:
    after, wishes = pressed(replace(shown(), leaving_drains=drains), key, "q")
    assert (place(after).screen, after.asking, wishes) == (Screen.OVERVIEW, None, ())


# -- moving ------------------------------------------------------------------------------------------------------------


def test_the_cursor_stays_with_its_row_when_others_come_and_go() -> None:
    model = press(shown(Picture(NOW, (host("web-1", pool("a"), pool("b"), pool("c")),))), "down", "down")
    assert place(model).cursor.key == ("pool", "web-1", "b")
    model, _ = update(model, Seen(Picture(NOW, (host("web-1", pool("0"), pool("a"), pool("b")),))))
    assert (cursor(model), place(model).cursor.key) == (3, ("pool", "web-1", "b"))
    model, _ = update(model, Seen(Picture(NOW, (host("web-1", pool("0")),))))
    assert (cursor(model), place(model).cursor.key) == (1, ("pool", "web-1", "0"))


def test_the_row_that_is_chosen_is_in_sight() -> None:
    crowd = Picture(NOW, (host("web-1", pool("media", 300)),))
    model = press(shown(crowd, 80, 24), *IN_POOL)
    for keys in (("end",), ("page-up",), ("home",), ("page-down", "page-down", "up")):
        model = press(model, *keys)
        assert f"media:{cursor(model)} " in text(model)
    assert cursor(press(model, "end")) == 299


def test_text_is_scrolled_and_follows_at_its_end() -> None:
    model, _ = update(press(shown(rows=20), "e"), Happened(documents(100)))
    assert "media:0: 99" in text(model)
    model = press(model, "up")
    assert "media:0: 99" not in text(model)
    model, _ = update(model, Happened((event(100),)))
    assert "media:0: 100" not in text(model)
    model = press(model, "end")
    model, _ = update(model, Happened((event(101),)))
    assert "media:0: 101" in text(model)
    assert "media:0: 0\n" in text(press(model, "home")) + "\n"


def first_of(model: Model, mark: str) -> str:
    """The first line on the screen that has the mark."""
    return next(line for line in text(model).splitlines() if mark in line)


@pytest.mark.parametrize("filter_", ["", "7"])
def test_what_is_read_stays_when_old_lines_are_dropped(filter_: str) -> None:
    typed = ("/", *filter_, "enter") if filter_ else ()
    at_events, _ = update(press(shown(rows=20), "e"), Happened(documents(1000)))
    at_events = press(at_events, *typed, "home", *["page-down"] * 5)
    after, _ = update(at_events, Happened(tuple(event(number) for number in range(2000, 2060))))
    assert first_of(after, "media:0: ") == first_of(at_events, "media:0: ")
    below_help, _ = update(press(at_events, "?"), Happened(tuple(event(number) for number in range(2000, 2060))))
    assert first_of(press(below_help, "escape"), "media:0: ") == first_of(at_events, "media:0: ")
    lines = [f"line {number}" for number in range(1300)]
    at_output, _ = update(press(shown(rows=30), *AT_WORKER), Printed("media:0", tuple(lines[:1000])))
    at_output = press(at_output, *typed, "page-up")
    after, _ = update(at_output, Printed("media:0", tuple(lines[1000:])))
    assert text(at_output).splitlines()[14].startswith("line ")
    assert text(after).splitlines()[14] == text(at_output).splitlines()[14]


# -- from screen to screen ---------------------------------------------------------------------------------------------


def test_down_to_a_worker_and_back() -> None:
    model = press(shown(), *AT_WORKER)
    assert place(model).worker == ("worker", "media:0", f"{0:032x}")
    assert wanted(model).lines == "media:0"
    assert wanted(model).measured == {"media"}
    model, _ = update(model, Printed("media:0", ("one", "two")))
    model, _ = update(model, Printed("mail:0", ("of another",)))
    assert "two" in text(model)
    assert "of another" not in text(model)
    model = press(model, "escape", "escape")
    assert (wanted(model).lines, wanted(model).measured) == (None, frozenset())
    assert (place(model).screen, model.output) == (Screen.OVERVIEW, None)


def test_output_that_ended_begins_anew_when_it_comes_again() -> None:
    model = press(shown(), *AT_WORKER)
    model, _ = update(model, Printed("media:0", ("one",)))
    model, _ = update(model, OutputEnded("media:0", "the daemon hung up"))
    assert "the daemon hung up" in text(model)
    model, _ = update(model, Printed("media:0", ("one", "two")))
    assert model.output is not None
    assert (model.output.lines, model.output.error) == (("one", "two"), None)


def test_a_worker_that_was_replaced_is_still_looked_at() -> None:
    model = press(shown(), *AT_WORKER)
    again = host("web-1", {**pool("media", 1), "workers": [worker("media:0", run="f" * 32, pid=77)]})
    model, _ = update(model, Seen(Picture(NOW, (again,))))
    assert "pid 77" in text(model)
    model, _ = update(model, Seen(Picture(NOW, (host("web-1", pool("mail")),))))
    assert "this worker is gone" in text(model)


def test_a_queue_opens_its_pool() -> None:
    model = press(shown(), "tab", "enter")
    assert (place(model).screen, place(model).pool) == (Screen.POOL, "media")
    model = press(shown(FLEET), "tab", "enter")
    assert (place(model).screen, place(model).pane, place(model).filter) == (Screen.OVERVIEW, 0, "media")


ROUTINE = [
    *(event(0, f"worker.{kind}") for kind in ("started", "healthy", "draining", "recycled", "adopted")),
    event(0, "worker.exited", fields={"planned": True}),
    event(0, "rollout.progress"),
]


def test_events_of_every_day_do_not_hide_the_others() -> None:
    crash = event(7, "worker.exited", fields={"planned": False}, text="media:0: ended unplanned")
    model, _ = update(shown(), Happened((*ROUTINE, crash, event(8, "rollout.halted", text="media: rollout halted"))))
    for _ in range(300):
        model, _ = update(model, Happened(tuple(ROUTINE)))
    assert [told in text(model) for told in ("unplanned", "rollout halted", "media:0: 0")] == [True, True, False]
    page = press(model, "e")
    assert [told in text(page) for told in ("unplanned", "rollout halted", "media:0: 0")] == [False, False, True]
    page = press(page, "n")
    assert [told in text(page) for told in ("unplanned", "rollout halted", "media:0: 0")] == [True, True, False]
    assert "EVENTS that are notable  2 of 2" in text(page)
    assert "media:0: 0" in text(press(page, "n"))


def test_events_and_help_are_there_once() -> None:
    model = press(shown(), "e", "?", "e", "?", "e")
    assert [each.screen for each in model.places] == [Screen.OVERVIEW, Screen.HELP, Screen.EVENTS]


# -- filter and order --------------------------------------------------------------------------------------------------


def test_a_filter_narrows_at_once_and_is_taken_back() -> None:
    model = press(shown(), "/", *"mAi")
    assert "mail " in text(model)
    assert "media " not in text(model)
    assert press(model, "escape").place.filter == ""
    model = press(model, "backspace", "enter", "down")
    assert place(model).filter == "mA"
    assert model.asking is None
    assert press(model, "escape").place.filter == ""


def test_keys_are_text_while_a_filter_is_typed() -> None:
    model, wishes = pressed(shown(), "/", *"qRSy?")
    assert (place(model).filter, wishes) == ("qRSy?", ())
    assert "nothing is called so" in text(model)


def test_workers_are_filtered_by_what_they_do() -> None:
    model = press(shown(), *IN_POOL, "/", *"transc", "enter")
    assert "media:0 " in text(model)
    assert "media:1 " not in text(model)


@pytest.mark.parametrize(
    ("column", "first"),
    [("STATE", 7), ("JOB", 0), ("UPTIME", 3), ("DONE", 7), ("FAILED", 2), ("MEMORY", 7), ("STARTS", 7), ("CPU", 0)],
)
def test_orders_of_workers(column: str, first: int) -> None:
    model = press(shown(columns=200), *IN_POOL)
    for _ in range(10):
        if f"{column}▾" in text(model):
            break
        model = press(model, "s")
    listed = [line for line in text(model).splitlines() if "media:" in line]
    assert f"media:{first} " in listed[0]
    assert f"{column}▴" in text(press(model, "i"))
    reversed_ = [line for line in text(press(model, "i")).splitlines() if "media:" in line]
    assert [line.split()[0:2] for line in reversed_] != [line.split()[0:2] for line in listed]


# -- acts --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "request_"),
    [
        (("r", "y"), Request(Verb.RESTART, ("media", "mail"))),  # the host: by name, since it is one daemon
        (("S", "y"), Request(Verb.STOP, ("media", "mail"))),
        ((*IN_POOL, "down", "S", "y"), Request(Verb.STOP, ("media:1",))),
        ((*AT_WORKER, "R", "y"), Request(Verb.RESTART_NOW, ("media:0",))),
        (("tab", "p", "y"), Request(Verb.PAUSE, ("media",))),
        (
            (*IN_POOL, "+", "backspace", "backspace", "1", "2", "x", "enter"),
            Request(Verb.SCALE, ("media",), change="12"),
        ),
        ((*AT_POOL, "-", "enter"), Request(Verb.SCALE, ("media",), change="-1")),
        ((*AT_POOL, "+", "4", "enter"), Request(Verb.SCALE, ("media",), change="+4")),  # in place of the 1
        ((*AT_POOL, "+", "1", "4", "enter"), Request(Verb.SCALE, ("media",), change="+14")),
        ((*AT_POOL, "+", "-", "2", "enter"), Request(Verb.SCALE, ("media",), change="-2")),
    ],
)
def test_what_is_asked_of_a_daemon(keys: tuple[str, ...], request_: Request) -> None:
    assert pressed(shown(), *keys)[1] == (Do(request_),)


@pytest.mark.parametrize(
    ("keys", "request_"),
    [
        (("r", "y"), Request(Verb.RESTART, host="web-1")),
        (("r", "A"), Request(Verb.RESTART)),
        (("down", "p", "y"), Request(Verb.PAUSE, ("media",), "web-1")),
        (("down", "p", "A"), Request(Verb.PAUSE, ("media",))),
        (("tab", "u", "y"), Request(Verb.RESUME, ("media",))),
        ((*IN_POOL, "r", "y"), Request(Verb.RESTART, ("media",), "web-1")),  # a fleet restarts pools
        (("H", "y"), Request(Verb.HALT, epoch=EPOCH)),
    ],
)
def test_what_is_asked_of_a_fleet(keys: tuple[str, ...], request_: Request) -> None:
    assert pressed(shown(FLEET), *keys)[1] == (Do(request_),)


TWO_INSTANCES = Picture(
    NOW,
    (
        {**member("web-1", pool("media", 2)), "name": "web-1/a"},
        {**member("web-1", pool("media", 5), pool("mail", 3)), "name": "web-1/b"},
        {**member("web-1", pool("media", 9), live=False), "name": "web-1/gone"},
        member("web-2", pool("media", 4)),
    ),
    "acme",
)


@pytest.mark.parametrize(
    ("keys", "asked_", "counted"),
    [
        (("r",), "Restart all pools on web-1 (a, b) gracefully", "10 workers"),
        (("down", "r"), "Restart media on web-1 (a, b) gracefully", "7 workers"),
        ((*IN_POOL, "p"), "Pause media on web-1 (a, b)", "7 workers"),
        (("down",) * 4 + ("r",), "Restart mail on web-1 gracefully", "3 workers"),
        (("end", "r"), "Restart media on web-2 gracefully", "4 workers"),
    ],
)
def test_all_instances_of_a_host_are_counted(keys: tuple[str, ...], asked_: str, counted: str) -> None:
    model = press(shown(TWO_INSTANCES), *keys)
    assert asked(model).text == asked_
    assert asked(model).counted.partition(",")[0] == counted


def only(picture: Picture, *targets: str) -> Model:
    """The view of these TARGETs."""
    return update(replace(shown(picture), targets=targets), Seen(picture))[0]


MANY = Picture(NOW, (host("web-1", pool("media", 8), pool("mail", 2), pool("news", 3)),))


@pytest.mark.parametrize(
    ("picture", "targets", "keys", "asked_", "counted", "reached"),
    [
        (FLEET, ("media",), ("R",), "media on web-1", "8 workers", ("media",)),
        (FLEET, ("m*",), ("R",), "media, mail on web-1", "10 workers", ("media", "mail")),
        (FLEET, ("media", "mail:*"), ("down", "down", "p"), "mail on web-1", "2 workers", ("mail",)),
        (ALONE, ("media:0",), (*AT_POOL, "S"), "media:0", "1 worker", ("media:0",)),
        (ALONE, ("media:0", "media:2"), ("tab", "S"), "media:0, media:2", "2 workers", ("media:0", "media:2")),
        (ALONE, ("media:1", "mail"), ("S",), "media:1, mail on web-1", "3 workers", ("media:1", "mail")),
        (
            *(MANY, ("news", "media:[0-2]"), ("S",), "media:0, media:1 and 2 more on web-1"),
            *("6 workers", ("media:0", "media:1", "media:2", "news")),
        ),
    ],
)
def test_a_narrowed_view_acts_on_what_it_shows(
    picture: Picture,
    targets: tuple[str, ...],
    keys: tuple[str, ...],
    asked_: str,
    counted: str,
    reached: tuple[str, ...],
) -> None:
    model = press(only(picture, *targets), *keys)
    assert f" {asked_} " in f"{asked(model).text} "
    assert asked(model).counted.partition(",")[0] == counted
    verb = {"R": Verb.RESTART_NOW, "p": Verb.PAUSE, "S": Verb.STOP}[keys[-1]]
    assert pressed(model, "y")[1] == (Do(Request(verb, reached, "web-1" if picture is FLEET else None)),)


@pytest.mark.parametrize(("keys", "counted"), [((), "30 workers, 6 busy"), (("down",), "24 workers, 3 busy")])
def test_all_hosts_are_an_upper_case_key_with_a_count_of_its_own(keys: tuple[str, ...], counted: str) -> None:
    model = press(shown(FLEET, 60, 15), *keys, "R")
    assert f"y yes  A on all hosts ({counted})  n no" in text(model)
    assert pressed(model, "a") == (model, ())


def test_a_narrowed_view_of_a_fleet_reaches_on_all_hosts_what_it_shows() -> None:
    assert asked(press(only(FLEET, "mail"), "R")).wide == Request(Verb.RESTART_NOW, ("mail",))


def test_a_narrowed_view_of_a_fleet_does_not_offer_all_hosts_where_it_shows_a_pool_in_part() -> None:
    uneven = replace(FLEET, hosts=(member("web-1", pool("media", 1)), member("web-2", pool("media", 4))))
    model = press(only(uneven, "media:0"), "R")
    assert asked(model).text.startswith("Restart media on web-1 NOW")
    assert "on all hosts" not in text(model)
    assert pressed(model, "A") == (model, ())
    assert pressed(model, "y")[1] == (Do(Request(Verb.RESTART_NOW, ("media",), "web-1")),)


def test_what_a_narrowed_view_cannot_act_on_says_why() -> None:
    for picture, keys in ((FLEET, ("R",)), (FLEET, ("down", "r")), (FLEET, (*IN_POOL, "r")), (ALONE, (*AT_POOL, "+"))):
        model = press(only(picture, "media:1"), *keys)
        assert model.asking is None
        assert "only some workers of media are shown" in text(model)


def test_a_halted_rollout_goes_on() -> None:
    halted = replace(FLEET, rollouts=(rollout("halted"),))
    assert pressed(shown(halted), "o", "y")[1] == (Do(Request(Verb.GO_ON, epoch=EPOCH)),)


GONE = replace(FLEET, hosts=(member("web-1", live=False), member("web-2")))


@pytest.mark.parametrize(
    ("picture", "can", "keys", "why"),
    [
        (FLEET, AFAR, ("down", "S"), "a fleet's hosts take restarts and pauses only"),
        (FLEET, AFAR, ("H",), "rollouts are a fleet's"),
        (ALONE, frozenset(), ("r",), "this daemon cannot be asked for it"),
        (ALONE, None, ("+",), "choose a pool"),
        (replace(ALONE, trouble="gone"), None, ("r",), "not now: the daemon does not answer"),
        (replace(FLEET, trouble="gone"), None, ("r",), "not now: Redis does not answer"),
        (GONE, None, ("down", "r"), "web-1/app is gone"),
        (Picture(NOW), None, ("r",), "nothing is chosen"),
    ],
)
def test_what_cannot_be_asked_for_says_why(
    picture: Picture, can: frozenset[Verb] | None, keys: tuple[str, ...], why: str
) -> None:
    model = press(shown(picture, can=can), *keys)
    assert model.asking is None
    assert why in text(model)


def test_a_number_that_is_none_is_not_taken() -> None:
    model, wishes = pressed(shown(), *AT_POOL, "+", "-", "enter")
    assert wishes == ()
    assert model.asking is not None
    assert pressed(model, "escape") == (replace(model, asking=None, message=model.message), ())


def test_the_answer_is_shown_for_a_while_and_an_error_until_a_key() -> None:
    model = press(shown(), *AT_POOL, "r", "y")
    assert "under way: restart media" in text(model)
    done, _ = update(model, Answered(RESTART, "2 workers restarted \x1b[2J"))
    assert (done.under_way, "2 workers restarted" in text(done)) == ((), True)
    assert update(done, Passed(NOW + 11))[0].message is None
    failed, _ = update(model, Answered(RESTART, "no such pool", is_bad=True))
    failed, _ = update(failed, Passed(NOW + 1000))
    assert failed.message == Message("no such pool", is_bad=True)
    assert press(failed, "down").message is None


def test_an_answer_does_not_take_the_place_of_an_error_that_was_not_read() -> None:
    refused = press(shown(can=frozenset({Verb.RESTART})), *AT_POOL, "r", "y", "H")
    assert "rollouts are a fleet's" in text(refused)
    answered, _ = update(refused, Answered(RESTART, "restart of media begun"))
    assert (answered.under_way, answered.message) == ((), refused.message)
    worse, _ = update(refused, Answered(RESTART, "no daemon answers", is_bad=True))
    assert "no daemon answers" in text(worse)


# -- news --------------------------------------------------------------------------------------------------------------


def test_trouble_is_told_with_the_age_of_what_is_shown() -> None:
    model, _ = update(shown(), Seen(replace(ALONE, trouble="no daemon answers\x1b[2J")))
    model, _ = update(model, Passed(NOW + 65))
    assert "no daemon answers" in text(model)
    assert "does not answer" in text(model).splitlines()[0]
    assert "shown is what was seen 1m 5s ago" in text(model)
    assert "media " in text(model)
    model, _ = update(model, Seen(replace(ALONE, seen_at=NOW + 70)))
    assert "no daemon answers" not in text(model)


def test_before_the_first_picture() -> None:
    model = Model(frozenset(Verb), 80, 24, NOW)
    for key in (key for binding in BINDINGS for key in binding.keys):
        assert len(text(press(model, key)).splitlines()) >= 23


def test_targets_narrow_what_is_shown() -> None:
    model = replace(shown(FLEET), targets=("mail", "media:1", "else"))
    model, _ = update(model, Seen(FLEET))
    assert model.scene is not None
    names = {(crew.host.host, crew.pool.name, len(crew.shapes)) for crew in model.scene.crews}
    assert names == {(f"web-{n}", name, count) for n in (1, 2, 3) for name, count in (("media", 1), ("mail", 2))}
    model, _ = update(replace(model, targets=("nope",)), Seen(FLEET))
    assert model.scene is not None
    assert model.scene.hosts == ()


def test_targets_and_the_filter_narrow_the_events() -> None:
    of_mail = {**event(2, worker="mail:0"), "pool": "mail"}
    of_daemon = {"at": NOW, "kind": "daemon.started", "text": "fleetd started"}
    model, _ = update(shown(rows=40), Happened((event(1), of_mail, of_daemon)))
    assert [told in text(model) for told in ("media:0: 1", "mail:0: 2", "fleetd started")] == [True, True, True]
    for targets in (("mail",), ("mail:*",)):
        narrow = replace(model, targets=targets)
        assert [told in text(narrow) for told in ("media:0: 1", "mail:0: 2", "fleetd started")] == [False, True, True]
    halted = {**event(3, kind="rollout.halted", worker=""), "text": "media: halted"}
    of_pool, _ = update(replace(model, targets=("media:*",)), Happened((halted,)))
    assert "media: halted" in text(of_pool)
    filtered = press(model, "/", *"mail", "enter")
    assert [told in text(filtered) for told in ("media:0: 1", "mail:0: 2", "fleetd started")] == [False, True, False]


def test_targets_narrow_the_incidents() -> None:
    lost, strange = incident("broker-lost", pool=None), incident(pool={"x": 1})
    there = [incident(worker="media:0"), incident("long-wait", pool="mail"), lost]
    picture = Picture(NOW, (host("web-1", incidents=there), host("web-2", incidents=[strange]), host("web-3")))
    for targets, shown_ in (((), 3), (("mail",), 2), (("media",), 2), (("media:0",), 2), (("media:1",), 1)):
        model = only(picture, *targets)
        assert model.scene is not None
        assert len(model.scene.incidents) == shown_, targets


@pytest.mark.parametrize("broken", [{}, {"name": 3}, {"instance": "x"}, {"instance": "x", "host": "y", "pools": [{}]}])
def test_a_document_that_cannot_be_read_is_a_host_that_says_so(broken: dict[str, Any]) -> None:
    model = shown(Picture(NOW, (broken, member("web-2")), "acme", ({"epoch": "x"},)))
    assert "another version?" in text(model)
    assert "web-2/app" in text(model)
    for key in ("enter", "r", "h", "e"):
        assert text(press(model, key))


@pytest.mark.parametrize(("state", "busy", "shape"), [
    ("running", True, Shape.BUSY), ("running", False, Shape.IDLE), ("running", None, Shape.RUNNING),
    ("starting", None, Shape.STARTING), ("stopping", None, Shape.DRAINING), ("backoff", None, Shape.BACKOFF),
    ("waiting", None, Shape.WAITING), ("stopped", None, Shape.STOPPED), ("given-up", None, Shape.GIVEN_UP),
    ("of tomorrow", None, Shape.UNKNOWN),
])  # fmt: skip
def test_shapes(state: str, busy: bool | None, shape: Shape) -> None:
    only = {**pool("media", 1), "workers": [worker("media:0", state, busy=busy)]}
    model = shown(Picture(NOW, (host("web-1", only),)))
    assert model.scene is not None
    assert model.scene.crews[0].shapes == (shape,)


def test_a_resize_at_any_moment() -> None:
    model = press(shown(), *IN_POOL, "end")
    for columns, rows in ((60, 15), (1, 1), (300, 80), (59, 14), (80, 24)):
        model, _ = update(model, Resized(columns, rows))
        assert len(text(model).splitlines()) <= rows
    assert cursor(model) == 7


def test_modes_have_only_their_own_keys() -> None:
    for mode in Mode:
        assert any(mode in binding.where for binding in BINDINGS)
