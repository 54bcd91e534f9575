"""What one console may cost the hub, in bytes and seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveLimits:
    """Limits of the live push; the defaults are those of the protocol, tests take shorter times."""

    window_bytes: int = 64 * 1024
    """Live bytes on the way without acknowledgement before the client counts as behind;
    three seconds of its own traffic if that is more."""
    behind_s: float = 3.0
    """Age of the oldest unacknowledged message from which the client counts as behind, and the
    most that a wave may wait in its queue."""
    cut_s: float = 9.5
    """Age of the oldest unacknowledged message at which the connection is aborted; with the time until
    it is looked at, a frozen client is gone within 10 s."""
    flush_s: float = 0.05
    """Longest time that a wave frame waits for others to share its message."""
    hello_s: float = 5.0
    """Time a new client has for its hello."""
    close_s: float = 1.0
    """Time a client has to answer a close before the connection is aborted."""
    check_s: float = 0.25
    """How often the age of the oldest unacknowledged message is looked at."""
    message_bytes: int = 128 * 1024
    """Size at which an update is split, so that a client that stops reading holds little memory."""
    chunk_bytes: int = 32 * 1024
    """Size of one message of history."""
    history_bytes: int = 1024 * 1024
    """Bytes of history on the way without acknowledgement."""
    history_s: float = 3600.0
    """Longest history that a client may ask for."""
    pending_alerts: int = 5000
    """Alerts waiting for one client; one more and it is aborted and reads a fresh snapshot."""
    messages_per_s: int = 50
    """Messages that a client may send in a second."""
    clients: int = 500
    """Consoles at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """Limits of the HTTP requests."""

    raw_span_s: int = 24 * 3600
    """Longest strip with every sample."""
    decimated_span_s: int = 72 * 3600
    """Longest strip with `step_ms`."""
    bins: int = 50_000
    """Most steps in a decimated strip."""
    renders: int = 2
    """Strips put together at the same time; more wait."""
    answer_s: float = 20.0
    """Longest wait for the database."""
    alerts: int = 1000
    """Most alerts in one answer."""
