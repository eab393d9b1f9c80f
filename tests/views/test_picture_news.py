"""What one end tells of changes, the other makes the whole document of."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from fleetd.views.picture_news import Listener, Teller
from fleetd.views.snapshot import UNTOLD, PoolView, Snapshot

MEDIA, MAIL = (
    PoolView(name, "command", "running", False, 2, UNTOLD, None, (), (), (), None, None, {}, None)
    for name in ("media", "mail")
)
FIRST = Snapshot(1, "app", "media-1", 7, "0.1.0", "running", 1.0, None, (), (), (MEDIA, MAIL))
STEPS = {
    "nothing": (FIRST, set()),
    "a pool": (replace(FIRST, pools=(replace(MEDIA, paused=True), MAIL)), {"pools"}),
    "the host": (replace(FIRST, state="stopping"), {"host"}),
    "a pool less": (replace(FIRST, pools=(MAIL,)), {"order"}),
    "another order": (replace(FIRST, pools=(MAIL, MEDIA)), {"order"}),
    "another pool": (replace(FIRST, pools=(MEDIA, replace(MAIL, name="thumbs"))), {"order", "pools"}),
    "all": (replace(FIRST, pid=8, pools=(replace(MAIL, numprocs=1),)), {"host", "order", "pools"}),
}


def sent(news: dict[str, Any]) -> Any:
    return msgspec.json.decode(msgspec.json.encode(news))


@pytest.mark.parametrize("step", STEPS)
def test_news(step: str) -> None:
    then, told = STEPS[step]
    teller, listener = Teller(), Listener()
    first = teller.news(FIRST)
    assert set(first) == {"whole", "host", "order", "pools"}
    before = listener.hear(sent(first))
    assert before == sent(FIRST.document())
    news = teller.news(then)
    assert set(news) == told
    after = listener.hear(sent(news))
    assert after == sent(then.document())
    assert (after is before) == (not told)
    kept = {id(pool) for pool in before["pools"]} & {id(pool) for pool in after["pools"]}
    assert len(kept) == sum(pool in FIRST.pools for pool in then.pools)
    assert listener.hear(sent(teller.news(FIRST))) == before


def test_only_what_has_changed_of_a_pool_is_told() -> None:
    teller = Teller()
    teller.news(FIRST)
    assert teller.news(STEPS["a pool"][0]) == {"pools": {"media": {"paused": True}}}


def test_a_teller_that_begins_anew_is_heard_from_its_beginning() -> None:
    listener = Listener()
    listener.hear(sent(Teller().news(FIRST)))
    other = replace(FIRST, pid=9, pools=(MAIL,))
    assert listener.hear(sent(Teller().news(other))) == sent(other.document())
