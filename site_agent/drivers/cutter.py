"""Cuts a stream of bytes into frames, however it was chopped; every byte that is in none is counted."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from site_agent.device import Reject

NOISE: Final = "noise"
"""Fault of bytes that lie between frames; neighbours are told together."""
NOISE_RUN: Final = 4096
"""A longer run is told in pieces of this size, so that a line of pure noise is not silent."""
GAP_MS: Final = 5000.0
"""No frame of any protocol here takes this long: what began earlier was torn."""
_SHOWN: Final = 12


class Cut(NamedTuple):
    """What stands at the front of a buffer: `n_bytes` of a frame (no fault) or of something else.

    The answer must not change when more bytes follow; as long as it might, it is `WAIT`.
    """

    n_bytes: int
    fault: str | None = None
    detail: str = ""


WAIT: Final = Cut(0)


class Frame(NamedTuple):
    """One whole frame, and when its first byte came."""

    data: bytes
    t_ms: float


class Cutter:
    """The buffer of one connection.

    `cut` looks at the front of the buffer; `expected` is what a frame begins with, for people.
    A frame across a long pause is kept if a checksum vouches for it, else its beginning is dropped.
    """

    def __init__(
        self,
        cut: Callable[[bytearray], Cut],
        *,
        expected: str,
        gap_ms: float = GAP_MS,
        has_checksum: bool = True,
    ) -> None:
        self._cut = cut
        self._expected = expected
        self._gap_ms = gap_ms
        self._has_checksum = has_checksum
        self._buffer = bytearray()
        self._marks: deque[tuple[int, float]] = deque()  # (stream position behind a block, its time)
        self._n_taken = 0
        self._noise = 0
        self._sample = b""

    def push(self, data: bytes, t_ms: float) -> Iterator[Frame | Reject]:
        """Take a block and give what it completes, in the order of the bytes."""
        if not self._has_checksum and self._is_torn(t_ms):
            yield from self._drain(t_ms)
        self._buffer += data
        if data:
            self._marks.append((self._n_taken + len(self._buffer), t_ms))
        yield from self._drain(t_ms)

    @property
    def n_waiting(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return len(self._buffer)

    def _is_torn(self, t_ms: float) -> bool:
        return bool(self._marks) and t_ms - self._marks[0][1] > self._gap_ms

    def _drain(self, t_ms: float) -> Iterator[Frame | Reject]:
        while self._buffer:
            cut = self._cut(self._buffer)
            if cut.n_bytes == 0:
                if not self._is_torn(t_ms):
                    return
                cut = Cut(1, "torn", f"expected the rest of a frame, got none for {self._gap_ms / 1000:g} s")
            at_ms = self._marks[0][1]
            piece = self._take(cut.n_bytes)
            if cut.fault == NOISE:
                yield from self._add_noise(piece)
                continue
            yield from self._end_noise()
            yield Frame(piece, at_ms) if cut.fault is None else Reject(cut.fault, cut.detail, len(piece))

    def _take(self, n_bytes: int) -> bytes:
        piece = bytes(self._buffer[:n_bytes])
        del self._buffer[:n_bytes]
        self._n_taken += n_bytes
        while self._marks and self._marks[0][0] <= self._n_taken:
            self._marks.popleft()
        return piece

    def _add_noise(self, piece: bytes) -> Iterator[Reject]:
        while piece:
            part, piece = piece[: NOISE_RUN - self._noise], piece[NOISE_RUN - self._noise :]
            self._sample += part[: max(_SHOWN - self._noise, 0)]
            self._noise += len(part)
            if self._noise == NOISE_RUN:
                yield from self._end_noise()

    def _end_noise(self) -> Iterator[Reject]:
        if self._noise:
            shown = self._sample.hex(" ") + (" …" if self._noise > len(self._sample) else "")
            yield Reject(NOISE, f"expected {self._expected}, got {shown}", self._noise)
            self._noise, self._sample = 0, b""
