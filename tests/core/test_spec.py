from __future__ import annotations

import pytest

from fleetd.core.spec import Amount


@pytest.mark.parametrize(
    ("amount", "numprocs", "count"),
    [
        (Amount(3), 1, 3),
        (Amount(0), 9, 0),
        (Amount(share=0.25), 8, 2),
        (Amount(share=0.25), 7, 1),
        (Amount(share=0.25), 1, 1),
        (Amount(share=0.0), 8, 0),
        (Amount(share=1.0), 5, 5),
        (Amount(share=0.29), 100, 29),  # 28.999999999999996 in binary
    ],
)
def test_a_share_is_rounded_down_and_at_least_one(amount: Amount, numprocs: int, count: int) -> None:
    assert amount.of(numprocs) == count
