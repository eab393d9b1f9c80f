from __future__ import annotations

from fleetd.core.chance import Chance


def test_splitmix64_gives_its_published_numbers() -> None:
    chance = Chance(1234567)
    assert [chance.bits() for _ in range(5)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_uniform_numbers_lie_from_0_to_below_1_around_a_half() -> None:
    chance = Chance(1)
    numbers = [chance.uniform() for _ in range(10_000)]
    assert 0.0 <= min(numbers) < 0.001
    assert 0.999 < max(numbers) < 1.0
    assert abs(sum(numbers) / len(numbers) - 0.5) < 0.02


def test_run_ids_are_32_hexadecimal_digits_and_differ() -> None:
    chance = Chance(0)
    ids = [chance.run_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(len(run) == 32 and int(run, 16) >= 0 for run in ids)


def test_the_same_seed_gives_the_same_history() -> None:
    assert [Chance(5).run_id()] == [Chance(5).run_id()] != [Chance(6).run_id()]
