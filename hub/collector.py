"""Keeps Python's garbage collector from stopping the event loop.

With thousands of beds a full collection looks at a million objects, nearly all of
them alive, and takes a sixth of a second, several times a minute.  What is alive is
therefore put aside from time to time, so that the collections in between only see
what is young; what died in cycles meanwhile is found at the next time.
"""

import asyncio
import gc
from typing import Final, NoReturn

PERIOD_S: Final = 600.0
"""One full look in this time: it is the longest pause of the loop that Python itself makes."""
FIRST_S: Final = (10.0, 30.0, 60.0, 120.0)
"""Sooner after a start, while the beds come in."""


async def keep_collections_short() -> NoReturn:
    """Put aside what is alive, for ever."""
    for wait_s in FIRST_S:
        await asyncio.sleep(wait_s)
        put_aside()
    while True:
        await asyncio.sleep(PERIOD_S)
        put_aside()


def put_aside() -> None:
    """Collect once what is dead, then take what is alive out of every later collection."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
