"""The last minutes of a bed as its frames came, packed: of twenty beds they are 24,000.  Pure."""

from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from hub.model import WaveEntry

CHUNK: Final = 128


@dataclass(slots=True)
class _Chunk:
    """Neighbouring frames in one piece of memory."""

    arrived_ms: "array[int]" = field(default_factory=lambda: array("Q"))
    stops: "array[int]" = field(default_factory=lambda: array("I"))
    data: bytearray = field(default_factory=bytearray)

    def frames(self) -> Iterator[tuple[int, bytes]]:
        start = 0
        for arrived_ms, stop in zip(self.arrived_ms, self.stops, strict=True):
            yield arrived_ms, bytes(self.data[start:stop])
            start = stop


class Past:
    """Frames of one bed in the order in which they are to be given again."""

    def __init__(self, site: str, bed: str, entries: Iterable[WaveEntry] = ()) -> None:
        self._site = site
        self._bed = bed
        self._chunks: deque[_Chunk] = deque()
        for entry in entries:
            self.append(entry.arrived_ms, entry.payload)

    def append(self, arrived_ms: int, payload: bytes) -> None:
        """Add a frame."""
        if not self._chunks or len(self._chunks[-1].stops) >= CHUNK:
            self._chunks.append(_Chunk())
        chunk = self._chunks[-1]
        chunk.arrived_ms.append(arrived_ms)
        chunk.data += payload
        chunk.stops.append(len(chunk.data))

    def put_before(self, older: Iterable[WaveEntry]) -> None:
        """Put frames in front of all that are here."""
        self._chunks.extendleft(reversed(Past(self._site, self._bed, older)._chunks))  # noqa: SLF001  # of the same class

    def forget(self, before_ms: int) -> None:
        """Let go of frames that arrived before a time, some of them a little later."""
        while self._chunks and self._chunks[0].arrived_ms[-1] < before_ms:
            self._chunks.popleft()

    def since(self, since_ms: int) -> list[WaveEntry]:
        """Give the frames that arrived at or after a time."""
        return [
            WaveEntry(self._site, self._bed, arrived_ms, payload)
            for chunk in self._chunks
            if max(chunk.arrived_ms) >= since_ms
            for arrived_ms, payload in chunk.frames()
            if arrived_ms >= since_ms
        ]
