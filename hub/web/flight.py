"""What has been sent to one client and not been acknowledged yet.  Pure: time comes in as data."""

from collections import deque
from typing import Final

from hub.web.limits import LiveLimits

_RATE_DECAY: Final = 0.8


class Flight:
    """Counts the messages of one connection and says whether its client keeps up.

    History has an allowance of its own: it is bulk, and must neither use up the
    window of the live messages nor be held to their few bytes.
    """

    def __init__(self, limits: LiveLimits) -> None:
        self._limits = limits
        self._unacknowledged: deque[tuple[int, int, float, bool]] = deque()
        self._live_bytes = 0
        self._history_bytes = 0
        self._sent_this_second = 0
        self._bytes_per_s = 0.0
        self.seq = 0

    @property
    def window_bytes(self) -> float:
        """Live bytes that may be on the way: three seconds of traffic, and never less than the limit."""
        return max(self._limits.window_bytes, self._limits.behind_s * self._bytes_per_s)

    def count_second(self) -> None:
        """Close one second of traffic; many beds need a larger window than few."""
        self._bytes_per_s = max(self._sent_this_second, _RATE_DECAY * self._bytes_per_s)
        self._sent_this_second = 0

    def send(self, n_bytes: int, now_s: float, *, is_history: bool = False) -> None:
        """Note that the message `seq` is handed to the connection."""
        self._unacknowledged.append((self.seq, n_bytes, now_s, is_history))
        if is_history:
            self._history_bytes += n_bytes
        else:
            self._live_bytes += n_bytes
            self._sent_this_second += n_bytes

    def acknowledge(self, seq: int) -> None:
        """Note that the client has handled everything up to `seq`; ValueError if it cannot have."""
        if seq > self.seq:
            msg = f"ack: expected a seq up to {self.seq}, got {seq}"
            raise ValueError(msg)
        while self._unacknowledged and self._unacknowledged[0][0] <= seq:
            _, n_bytes, _, is_history = self._unacknowledged.popleft()
            if is_history:
                self._history_bytes -= n_bytes
            else:
                self._live_bytes -= n_bytes

    def oldest_age_s(self, now_s: float) -> float:
        """Age of the oldest unacknowledged message, 0 without one."""
        return now_s - self._unacknowledged[0][2] if self._unacknowledged else 0.0

    def is_behind(self, now_s: float) -> bool:
        """Tell whether live messages have to wait for an acknowledgement."""
        return self._live_bytes >= self.window_bytes or self.oldest_age_s(now_s) > self._limits.behind_s

    def may_send_history(self, now_s: float) -> bool:
        """Tell whether history may go out too."""
        return self._history_bytes < self._limits.history_bytes and not self.is_behind(now_s)
