"""From files to one configuration."""

from __future__ import annotations

import pytest

from fleetd.core.spec import Amount, FleetSpec, MemberSpec, PoolSpec
from tests.support.pool_files import load_text, load_texts

MEDIA = '[pool.media]\ncommand = ["worker"]\n'


def pool_of(text: str, name: str = "media", **environ: str) -> PoolSpec:
    loaded = load_text(text, **environ)
    assert loaded.problems == ()
    assert loaded.spec is not None
    return loaded.spec.pools[name]


def spec_of(texts: dict[str, str], *paths: str) -> FleetSpec:
    loaded = load_texts(texts, *paths)
    assert loaded.problems == ()
    assert loaded.spec is not None
    return loaded.spec


def problems_of(texts: dict[str, str], *paths: str) -> list[str]:
    return [str(problem) for problem in load_texts(texts, *paths).problems]


# -- several files ---------------------------------------------------------------------------------------------------


def test_several_files_are_one_configuration() -> None:
    spec = spec_of({"a.toml": MEDIA, "b.toml": '[defaults]\nnice = 5\n[pool.mail]\ncommand = "mail"\n'})
    assert list(spec.pools) == ["media", "mail"]
    assert spec.files == ("a.toml", "b.toml")
    assert spec.pools["media"].launch.nice == 5


def test_a_pool_defined_twice_names_both_places() -> None:
    assert problems_of({"a.toml": MEDIA, "b.toml": "\n" + MEDIA}) == [
        "b.toml:2: pool.media: defined twice, first at a.toml:1; keep one of them"
    ]


@pytest.mark.parametrize("table", ["daemon", "defaults", "fleet", "broker.x", "framework.x"])
def test_other_tables_defined_twice(table: str) -> None:
    texts = {"a.toml": f"[{table}]\n" + MEDIA, "b.toml": f"[{table}]\n"}
    assert f"b.toml:1: {table}: defined twice, first at a.toml:1; keep one of them" in problems_of(texts)


def test_the_same_file_given_twice() -> None:
    assert problems_of({"a.toml": MEDIA}, "a.toml", "./a.toml") == [
        "./a.toml: the file is given twice; name it once",
    ]


def test_a_file_that_is_not_there() -> None:
    assert problems_of({}, "media.toml") == ["media.toml: cannot be read: No such file or directory"]


def test_includes_are_relative_to_the_file_that_has_them() -> None:
    spec = spec_of(
        {
            "etc/main.toml": 'include = ["pools.d/*.toml"]\n',
            "etc/pools.d/a.toml": 'include = ["deeper/x.toml"]\n' + MEDIA,
            "etc/pools.d/deeper/x.toml": '[pool.deep]\ncommand = "deep"\n',
            "etc/pools.d/b.toml": '[pool.mail]\ncommand = "mail"\n',
        },
        "etc/main.toml",
    )
    assert set(spec.pools) == {"media", "deep", "mail"}


def test_a_pattern_may_match_nothing() -> None:
    assert list(spec_of({"a.toml": 'include = ["none/*.toml"]\n' + MEDIA}).pools) == ["media"]


def test_problems_of_all_files_come_in_the_order_of_the_files() -> None:
    texts = {"a.toml": MEDIA + "a = 1\n", "b.toml": "broken\n", "c.toml": '[pool.c]\ncommand = "c"\nzzz = 1\n'}
    assert [line.split(" ")[0] for line in problems_of(texts)] == ["a.toml:3:", "b.toml:1:", "c.toml:3:"]


# -- spelling --------------------------------------------------------------------------------------------------------


def test_snake_case_is_accepted_everywhere() -> None:
    pool = pool_of(
        MEDIA + 'max_jobs = 3\njob_timeout = "5m"\ngive_up = { failures = 2, within = 10 }\nlog = {max_size = 5000}'
    )
    assert pool.max_jobs == 3
    assert pool.job_timeout == 300
    assert pool.give_up is not None
    assert pool.log.max_size == 5000


def test_both_spellings_in_defaults_and_pool_are_one_key() -> None:
    assert pool_of("[defaults]\nmax_jobs = 3\n" + MEDIA + "max-jobs = 4").max_jobs == 4


# -- defaults --------------------------------------------------------------------------------------------------------


def test_tables_of_defaults_are_merged_by_key() -> None:
    pool = pool_of(
        '[defaults]\nenv = { A = "1", B = "2" }\nbackoff = { first = 3 }\nqueues = ["a"]\n'
        + MEDIA
        + 'env = { B = "3" }\nbackoff = { max = 9 }\nqueues = ["b"]\n'
    )
    assert pool.launch.env == {"A": "1", "B": "3"}
    assert (pool.backoff.first, pool.backoff.max) == (3, 9)
    assert pool.launch.queues == ("b",)


def test_a_problem_in_defaults_is_told_once() -> None:
    texts = {"a.toml": '[defaults]\nrestart = "x"\n' + MEDIA + '[pool.mail]\ncommand = "m"\n'}
    assert problems_of(texts) == [
        'a.toml:2: defaults.restart: "x" is not known; write one of always, on-failure, never'
    ]


def test_defaults_are_checked_without_a_pool_too() -> None:
    assert problems_of({"a.toml": "[defaults]\nnice = 99\n"}) == [
        "a.toml:2: defaults.nice: is too large; the most is 19"
    ]


# -- the environment -------------------------------------------------------------------------------------------------


def test_values_from_the_environment() -> None:
    pool = pool_of(
        MEDIA.replace('["worker"]', '["${BIN:-worker}", "--key=${KEY}", "$${KEY}"]')
        + 'numprocs = "${N:-2}"\nautostart = "${AUTO}"\njob-timeout = "${EMPTY:-15m}"\nnice = "${NICE}"\n',
        KEY="geheim",
        AUTO="false",
        EMPTY="",
        NICE="-5",
    )
    assert pool.launch.command == ("worker", "--key=geheim", "${{KEY}")  # {{ is a brace
    assert pool.launch.shown_command == ("${BIN:-worker}", "--key=${KEY}", "$${KEY}")
    assert (pool.numprocs, pool.autostart, pool.job_timeout, pool.launch.nice) == (2, False, 900, -5)


def test_a_command_string_is_split_before_values_come_in() -> None:
    pool = pool_of("[pool.media]\ncommand = \"sh -c 'echo $1' ${A} ${B:-x y} plain\\\\ word\"\n", A="it's two words")
    assert pool.launch.command == ("sh", "-c", "echo $1", "it's two words", "x y", "plain word")
    assert pool.launch.shown_command == ("sh", "-c", "echo $1", "${A}", "${B:-x y}", "plain word")


def test_braces_from_the_environment_are_no_placeholders() -> None:
    pool = pool_of(
        '[pool.media]\ncommand = ["w", "${PW}", "{slot}"]\ndirectory = "/srv/${PW}"\nenv = { PW = "${PW}" }\n',
        PW="a{slot}b",
    )
    assert pool.launch.command == ("w", "a{{slot}b", "{slot}")
    assert pool.launch.directory == "/srv/a{{slot}b"
    assert pool.launch.env["PW"] == "a{{slot}b"


def test_what_a_framework_builds_shows_no_secret() -> None:
    pool = pool_of(
        """
[framework.mine]
command = ["run", "--token=${PW}", "--db={options.db}", "{queues...}"]
[framework.mine.options.db]
[pool.media]
framework = "mine"
queues = ["a", "${PW}"]
options = { db = "x-${PW}" }
""",
        PW="geheim",
    )
    assert pool.launch.command == ("run", "--token=geheim", "--db=x-geheim", "a", "geheim")
    assert pool.launch.shown_command == ("run", "--token=${PW}", "--db=x-${PW}", "a", "${PW}")


def test_complaints_of_a_framework_show_no_secret() -> None:
    loaded = load_text('[framework.mine]\ncommand = ["w"]\ndrain-signal = "${PW}"\n', PW="geheim")
    assert len(loaded.problems) == 1
    assert "geheim" not in str(loaded.problems[0])
    assert "${PW}" in str(loaded.problems[0])


# -- tables beside the pools -----------------------------------------------------------------------------------------


def test_daemon_and_fleet() -> None:
    spec = spec_of(
        {
            "a.toml": '[fleet]\nname = "acme"\nredis = "redis://h:1/0"\nhost = "Media-1"\n'
            '[daemon]\nlog_level = "debug"\nruntime-directory = "/run/x"\nsocket-group = "deploy"\n' + MEDIA
        }
    )
    assert (spec.member, spec.host) == (MemberSpec("acme", "redis://h:1/0", Amount(share=1.0)), "Media-1")
    assert spec.daemon.log_level == "debug"
    assert spec.daemon.runtime_directory == "/run/x"
    assert spec.daemon.socket_group == "deploy"


def test_workers_get_the_broker_where_their_framework_looks_for_it() -> None:
    broker = '[broker.default]\nurl = "redis://h:1/0"\n[broker.other]\nurl = "redis://o:1/0"\n'
    rq = '[pool.media]\nframework = "rq"\nqueues = ["a"]\n'
    assert pool_of(broker + rq).launch.env["RQ_REDIS_URL"] == "redis://h:1/0"
    assert pool_of(broker + rq + 'broker = "other"').launch.env["RQ_REDIS_URL"] == "redis://o:1/0"
    assert pool_of(broker + rq + 'env = { RQ_REDIS_URL = "mine" }').launch.env["RQ_REDIS_URL"] == "mine"
    assert "RQ_REDIS_URL" not in pool_of(rq).launch.env


def test_an_instance_with_a_longer_name_has_less_room_for_its_sockets() -> None:
    text = f'[daemon]\nruntime-directory = "/{"r" * 60}"\n' + MEDIA
    assert problems_of({"a.toml": text}) == []
    assert problems_of({"longer.toml": text}) == [
        (
            "longer.toml:2: daemon.runtime-directory: is too long for the paths of sockets in it; "
            "choose one of at most 60 bytes"
        )
    ]
