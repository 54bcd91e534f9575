"""A full collection of the hub's memory looks at what is young only."""

import gc
import weakref

from hub.collector import put_aside


class Knot:
    """Two of them that hold each other are garbage that only the collector finds."""

    def __init__(self) -> None:
        self.other: Knot | None = None


def tie() -> weakref.ref[Knot]:
    one, two = Knot(), Knot()
    one.other, two.other = two, one
    return weakref.ref(one)


def test_what_is_alive_is_put_aside_and_what_dies_in_a_cycle_is_still_found():
    kept = [Knot() for _ in range(1000)]
    try:
        put_aside()
        assert gc.get_freeze_count() > len(kept)
        knot = tie()
        gc.collect()
        assert knot() is None
        knot = tie()
        put_aside()
        assert knot() is None
    finally:
        gc.unfreeze()
