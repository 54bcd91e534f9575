"""What the live push counts for `/metrics`."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class LiveCounters:
    """One per registry; each place where something is dropped or refused has its own count."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.clients = Gauge("ctg_live_clients", "Consoles on the live push", registry=registry)
        self.messages = Counter("ctg_live_messages", "Messages sent to consoles", ["form"], registry=registry)
        self.sent_bytes = Counter("ctg_live_bytes", "Bytes sent to consoles", registry=registry)
        self.dropped_waves = Counter(
            "ctg_live_dropped_waves", "Live frames a slow console got only as history", registry=registry
        )
        self.cut = Counter("ctg_live_cut", "Consoles aborted because they did not keep up", registry=registry)
        self.refused = Counter(
            "ctg_live_refused", "Consoles refused or closed for what they sent", ["why"], registry=registry
        )
        self.wave_delay = Histogram(
            "ctg_live_wave_delay_seconds",
            "From the arrival of a live frame to its message",
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0),
            registry=registry,
        )
