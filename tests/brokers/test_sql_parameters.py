"""What a query becomes for each driver: parameters marked, everything else as it was."""

from __future__ import annotations

import pytest

from fleetd.brokers.sql.parameters import Question, Style, together

NOW = 1_790_000_000.75
LIBPQ_LIKE = [Style.POSTGRESQL, Style.MYSQL]


def converted(query: str, style: Style) -> str:
    text = together([Question(query, "media")], style, NOW).text
    assert text.startswith("SELECT (")
    assert text.endswith("\n)")
    return text.removeprefix("SELECT (").removesuffix("\n)")


@pytest.mark.parametrize("style", list(Style))
def test_values_are_those_of_the_moment_and_of_each_queue(style: Style) -> None:
    statement = together([Question("a :queue", "x"), Question(":queue b", "y"), Question("c :queue", "x")], style, NOW)
    marks = {"queue0": style.marked("queue0"), "queue1": style.marked("queue1")}
    assert statement.text == "SELECT (a {queue0}\n), ({queue1} b\n), (c {queue0}\n)".format(**marks)
    assert statement.values["queue0"] == "x"
    assert statement.values["queue1"] == "y"
    assert statement.values["now"] == 1_790_000_000
    assert str(statement.values["utcnow"]) == "2026-09-21 14:13:20.750000"


@pytest.mark.parametrize("style", LIBPQ_LIKE)
def test_percent_signs_are_the_servers(style: Style) -> None:
    assert converted("a % 2 AND b LIKE '50%' AND q = :queue", style) == "a %% 2 AND b LIKE '50%%' AND q = %(queue0)s"
    assert converted("q = %s AND %(now)s", style) == "q = %%s AND %%(now)s"


def test_percent_signs_stay_single_for_sqlite() -> None:
    assert converted("a % 2 AND b LIKE '50%' AND q = :queue", Style.SQLITE) == "a % 2 AND b LIKE '50%' AND q = :queue0"


@pytest.mark.parametrize("style", list(Style))
@pytest.mark.parametrize(
    "query",
    [
        "a::now",
        "a::int",
        "x[1:2]",
        "':queue'",
        "'it''s :now'",
        '":queue"',
        "/* of :queue */ 1",
        "-- :queue\n1",
        "1 -- :queue",
        ":other",
        ":queues",
        ":now_or_never",
        "@a:=1",
    ],
)
def test_nothing_else_is_a_parameter(style: Style, query: str) -> None:
    assert converted(query, style) == query


@pytest.mark.parametrize(
    ("style", "query"),
    [
        (Style.POSTGRESQL, "$$ :now $$"),
        (Style.POSTGRESQL, "$body$ $$ :now $body$"),
        (Style.POSTGRESQL, r"E'it\'s :now'"),
        (Style.MYSQL, r"'it\'s :now'"),
        (Style.MYSQL, "`a:now`"),
        (Style.MYSQL, "# :now\n1"),
        (Style.SQLITE, "[a:now]"),
    ],
)
def test_each_servers_own_quotes_are_known(style: Style, query: str) -> None:
    assert converted(query, style) == query


@pytest.mark.parametrize(
    ("style", "query", "expected"),
    [
        # A backslash is a letter like any other there: the text ends at the quote.
        (Style.POSTGRESQL, r"'\' || :now", r"'\' || %(now)s"),
        (Style.SQLITE, r"'\' || :now", r"'\' || :now"),
        (Style.MYSQL, "5--:now", "5--%(now)s"),  # two minus signs
        (Style.POSTGRESQL, ":now::int", "%(now)s::int"),
        (Style.POSTGRESQL, "(:utcnow)", "(%(utcnow)s)"),
        (Style.POSTGRESQL, "COUNT(*) ; \n", "COUNT(*)"),
    ],
)
def test_parameters_are_found_next_to_them(style: Style, query: str, expected: str) -> None:
    assert converted(query, style) == expected


@pytest.mark.parametrize("style", list(Style))
def test_odd_text_costs_linear_time(style: Style) -> None:
    assert converted("'" * 20_001 + ":now" * 5_000, style)
