"""Broken messages by the million at every decoder: none may crash or hold anything up, all are counted."""

import random
import re
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

STALL_MS: Final = 250.0
"""Processor time of one message beyond which a live second would suffer."""
PIECE: Final = 1000
"""Messages of one kind in a row, so that choosing the kind costs nothing."""
MAX_CRASHES: Final = 20
MAX_BYTES: Final = 80_000
VALID_SHARE: Final = 0.05
_DIGITS: Final = re.compile(rb"[0-9][0-9.]*")
_NUMBERS: Final = (b"0", b"-1", b"1e-9", b"1e308", b"9" * 25, b"NaN", b"65536", b"99999999", b"0.5", b"")
_WORTH_TRYING: Final = (0, 1, 2, 3, 0x0F, 0x10, 0x1F, 0x20, 0x7F, 0x80, 0xC7, 0xC8, 0xFE, 0xFF)

Verdict = str
"""`accepted`, or which rule the message broke."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One decoder: what it reads when all is well, and how it is called; it raises nothing."""

    name: str
    seeds: Sequence[bytes]
    read: Callable[[bytes], Verdict]
    share: float
    """Of all messages."""


@dataclass(slots=True)
class Crash:
    """A message that a decoder did not stand, in full, so that it can become a test."""

    target: str
    payload: bytes
    trace: str


@dataclass(slots=True)
class FuzzReport:
    """What a run gave."""

    seed: int
    messages: int = 0
    seconds: float = 0.0
    verdicts: dict[str, Counter[Verdict]] = field(default_factory=dict)
    slowest_ms: dict[str, float] = field(default_factory=dict)
    stalls: list[tuple[str, float, bytes]] = field(default_factory=list)
    crashes: list[Crash] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing crashed and nothing stalled."""
        return not self.crashes and not self.stalls

    def lines(self) -> Iterator[str]:
        """Tell it as a table."""
        yield f"seed {self.seed}: {self.messages:,} messages in {self.seconds:,.0f} s"
        for name, verdicts in self.verdicts.items():
            kinds = ", ".join(f"{kind} {count:,}" for kind, count in verdicts.most_common())
            yield f"{name:14} {verdicts.total():>12,}  slowest {self.slowest_ms[name]:6.1f} ms  {kinds}"
        for name, took_ms, payload in self.stalls[:MAX_CRASHES]:
            yield f"STALL {name}: {took_ms:.0f} ms over {len(payload)} bytes {payload[:200].hex()}"
        for crash in self.crashes:
            yield f"CRASH {crash.target}: {crash.payload[:2000].hex()}\n{crash.trace}"
        yield f"crashes {len(self.crashes)}, stalls {len(self.stalls)}"


class Mutator:
    """Makes broken messages of whole ones; the same seed makes the same."""

    def __init__(self, seed: object) -> None:
        self._rng = random.Random(f"{seed}")
        self._changes: tuple[Callable[[bytearray], None], ...] = (
            self._flip,
            self._flip,
            self._set,
            self._set,
            self._cut,
            self._insert,
            self._remove,
            self._double,
            self._swap_word,
            self._number,
        )

    def make(self, seeds: Sequence[bytes]) -> bytes:
        """Make one message: mostly a changed one, at times a whole one, a splice, or noise."""
        rng = self._rng
        at = rng.random()
        whole = rng.choice(seeds)
        if at < VALID_SHARE:
            return whole
        if at < 0.07:
            return rng.randbytes(rng.randrange(200))
        message = bytearray(whole)
        if at < 0.12:
            other = rng.choice(seeds)
            message = message[: rng.randrange(len(message) + 1)] + other[rng.randrange(len(other) + 1) :]
        for _ in range(1 if at < 0.6 else 1 + rng.randrange(6)):
            rng.choice(self._changes)(message)
        return bytes(message[:MAX_BYTES])

    def _flip(self, message: bytearray) -> None:
        if message:
            message[self._rng.randrange(len(message))] ^= 1 << self._rng.randrange(8)

    def _set(self, message: bytearray) -> None:
        if message:
            message[self._rng.randrange(len(message))] = self._rng.choice(_WORTH_TRYING)

    def _cut(self, message: bytearray) -> None:
        del message[self._rng.randrange(len(message) + 1) :]

    def _insert(self, message: bytearray) -> None:
        at = self._rng.randrange(len(message) + 1)
        message[at:at] = self._rng.randbytes(1 + self._rng.randrange(8))

    def _remove(self, message: bytearray) -> None:
        at = self._rng.randrange(len(message) + 1)
        del message[at : at + 1 + self._rng.randrange(8)]

    def _double(self, message: bytearray) -> None:
        at = self._rng.randrange(len(message) + 1)
        message[at:at] = message[at : at + 1 + self._rng.randrange(64)] * (1 + self._rng.randrange(3))

    def _number(self, message: bytearray) -> None:
        """Put an awkward number in the place of one that stands there as text, at its width or its own."""
        found = _DIGITS.search(message, self._rng.randrange(len(message) + 1))
        if found is not None:
            number = self._rng.choice(_NUMBERS)
            is_padded = self._rng.random() < 0.5
            stop = max(found.end(), found.start() + len(number)) if is_padded else found.end()
            message[found.start() : stop] = number.ljust(stop - found.start()) if is_padded else number

    def _swap_word(self, message: bytearray) -> None:
        at = self._rng.randrange(len(message) + 1)
        word = self._rng.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0"))
        message[at : at + 4] = word


def run_fuzz(targets: Sequence[Target], *, messages: int, seed: int) -> FuzzReport:
    """Throw so many messages at the targets, each its share of them."""
    report = FuzzReport(seed)
    begun_s = time.monotonic()
    mutators = {target.name: Mutator((seed, target.name)) for target in targets}
    shares = sum(target.share for target in targets)
    left = {target.name: round(messages * target.share / shares) for target in targets}
    while any(left.values()):
        for target in targets:
            count = min(PIECE, left[target.name])
            left[target.name] -= count
            _throw(target, mutators[target.name], count, report)
        if len(report.crashes) >= MAX_CRASHES:
            break
    report.seconds = time.monotonic() - begun_s
    return report


def _throw(target: Target, mutator: Mutator, count: int, report: FuzzReport) -> None:
    verdicts = report.verdicts.setdefault(target.name, Counter())
    slowest_ns = 0
    clock_ns = time.thread_time_ns
    for _ in range(count):
        payload = mutator.make(target.seeds)
        begun_ns = clock_ns()
        try:
            verdict = target.read(payload)
        except Exception:  # noqa: BLE001  # whatever is raised is what is looked for
            verdict = "CRASH"
            if len(report.crashes) < MAX_CRASHES:
                report.crashes.append(Crash(target.name, payload, traceback.format_exc()))
        took_ns = clock_ns() - begun_ns
        verdicts[verdict] += 1
        if took_ns > slowest_ns:
            slowest_ns = took_ns
            if took_ns > STALL_MS * 1e6:
                report.stalls.append((target.name, took_ns / 1e6, payload))
    report.messages += count
    report.slowest_ms[target.name] = max(report.slowest_ms.get(target.name, 0.0), slowest_ns / 1e6)
