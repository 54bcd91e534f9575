"""Sets of whole numbers as sorted, inclusive runs: millions of seqs of an outbox in a few numbers.  Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

Run = tuple[int, int]


class Runs:
    """A set of whole numbers, kept as disjoint runs in rising order that never touch."""

    __slots__ = ("_first", "_last")

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self._first: list[int] = []
        self._last: list[int] = []
        for first, last in runs:
            self.add(first, last)

    def __iter__(self) -> Iterator[Run]:
        """Give the runs in rising order."""
        return zip(self._first, self._last, strict=True)

    def __reversed__(self) -> Iterator[Run]:
        """Give the runs from the highest down."""
        return zip(reversed(self._first), reversed(self._last), strict=True)

    def __bool__(self) -> bool:
        """Whether any number is in the set."""
        return bool(self._first)

    def __contains__(self, number: int) -> bool:
        """Whether a number is in the set."""
        index = bisect_right(self._first, number) - 1
        return index >= 0 and number <= self._last[index]

    def __eq__(self, other: object) -> bool:
        """Whether both hold the same numbers."""
        return isinstance(other, Runs) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # a set that changes

    def __repr__(self) -> str:
        """Show the runs."""
        return f"Runs({list(self)})"

    @property
    def count(self) -> int:
        """How many numbers are in the set."""
        return sum(self._last) - sum(self._first) + len(self._first)

    @property
    def lowest(self) -> int | None:
        """The lowest number, None of an empty set."""
        return self._first[0] if self._first else None

    def overlapping(self, first: int, last: int) -> list[Run]:
        """Whole runs that share a number with first … last."""
        low = bisect_left(self._last, first)
        high = bisect_right(self._first, last)
        return list(zip(self._first[low:high], self._last[low:high], strict=True))

    def add(self, first: int, last: int) -> None:
        """Put first … last into the set."""
        if last < first:
            return
        low = bisect_left(self._last, first - 1)  # the first run that reaches to first - 1 or beyond
        high = bisect_right(self._first, last + 1)
        if low < high:
            first = min(first, self._first[low])
            last = max(last, self._last[high - 1])
        self._first[low:high] = [first]
        self._last[low:high] = [last]

    def remove(self, first: int, last: int) -> list[Run]:
        """Take first … last out of the set; gives the runs that were in it."""
        if last < first:
            return []
        low = bisect_left(self._last, first)
        high = bisect_right(self._first, last)
        if low >= high:
            return []
        removed = [
            (max(a, first), min(b, last))
            for a, b in zip(self._first[low:high], self._last[low:high], strict=True)
        ]
        kept = []
        if self._first[low] < first:
            kept.append((self._first[low], first - 1))
        if self._last[high - 1] > last:
            kept.append((last + 1, self._last[high - 1]))
        self._first[low:high] = [a for a, _ in kept]
        self._last[low:high] = [b for _, b in kept]
        return removed
