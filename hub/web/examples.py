"""Examples in the OpenAPI document, made from the types themselves so that they cannot drift."""

import json
from typing import Any, Final

from fastapi import Body

from hub.model import (
    AckReason,
    Alert,
    AlertPath,
    AlertState,
    BedEvent,
    BedView,
    BedVitals,
    Channel,
    DeviceState,
    EventKind,
    FetusVitals,
    FrameFlag,
    MonitorStatus,
    Priority,
    SignalQuality,
    SiteHealth,
    SiteState,
    SiteView,
    Transducer,
    WaveEntry,
    WaveFrame,
)
from hub.web.backend import Dependency, StageProgress
from hub.wire import encode_batch, encode_json, encode_wave, samples_from_values

T_MS: Final = 1_785_294_000_000
"""2026-07-29T03:00:00Z."""
BOOT_ID: Final = "01K1A4QF8ZB4J3M2V6S9X0T7CD"

WAVE: Final = WaveEntry(
    "h012",
    "bed3",
    T_MS + 1040,
    encode_wave(
        WaveFrame(
            site="h012",
            bed="bed3",
            epoch=7,
            seq=12345,
            t0_ms=T_MS,
            period_ms=250,
            n_ticks=4,
            flags=FrameFlag.NONE,
            status=MonitorStatus.ON,
            channels=(
                samples_from_values(
                    Channel.FHR1, [140.0, 140.25, 141.0, 141.5], transducer=Transducer.ULTRASOUND
                ),
                samples_from_values(Channel.TOCO, [20.0, 20.5, 21.0, 21.5], transducer=Transducer.EXTERNAL),
            ),
        )
    ),
)
"""One second of FHR1 and toco."""

ALERT: Final = Alert(
    id=f"h012.bed3.1.fhr_below_110.{T_MS - 240_000}",
    site="h012",
    bed="bed3",
    fetus=1,
    rule="fhr_below_110",
    path=AlertPath.RAW_RATE,
    priority=Priority.MEDIUM,
    state=AlertState.ACTIVE,
    is_present=True,
    onset_ms=T_MS - 240_000,
    raised_ms=T_MS - 60_000,
    changed_ms=T_MS,
    values={"value_bpm": 98.0, "limit_bpm": 110.0, "duration_s": 240.0},
)

BED: Final = BedView(
    site="h012",
    bed="bed3",
    site_name="Kamogawa Clinic",
    label="LDR 3",
    gestational_weeks=39.3,
    vitals=BedVitals(
        head_ms=T_MS,
        age_ms=180,
        clock_offset_ms=-12,
        link=SiteState.ONLINE,
        device=DeviceState.OK,
        is_test=True,
        fetuses=(FetusVitals(fetus=1, fhr_bpm=141.5, quality=SignalQuality.GREEN, signal_fraction=0.97),),
        mhr_bpm=82.0,
        toco=21.5,
        iup_mmhg=None,
        is_coincident=False,
    ),
)

SITE: Final = SiteView(
    site="h012",
    site_name="Kamogawa Clinic",
    link=SiteState.ONLINE,
    version="ctg-agent 0.1.0",
    beds=("bed3",),
    health=SiteHealth(t_ms=T_MS - 4000, backlog_frames=2, disk_free_percent=71.5, clock_offset_ms=12.0),
    health_age_ms=4020,
    fill_frames_per_s=0.0,
    credit_frames_per_s=4000.0,
)


def _plain(message: object) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(encode_json(message))
    return plain


BEDS: Final = _plain({"t_ms": T_MS, "beds": [BED]})
SITES: Final = _plain({"t_ms": T_MS, "sites": [SITE]})
ALERTS: Final = _plain({"alerts": [ALERT]})
ACKNOWLEDGED: Final = _plain(ALERT) | {
    "state": AlertState.ACKNOWLEDGED.value,
    "acknowledged_by": "K.M.",
    "acknowledged_ms": T_MS + 5000,
    "ack_reason": AckReason.WATCHING.value,
    "changed_ms": T_MS + 5000,
}
ACK_BODY: Final = Body(openapi_examples={"watching": {"value": {"by": "K.M.", "reason": "watching"}}})
STRIP: Final = _plain(
    {
        "site": "h012",
        "bed": "bed3",
        "from_ms": T_MS,
        "to_ms": T_MS + 1000,
        "period_ms": 250,
        "channels": {"fhr1": [140.0, 140.25, 141.0, 141.5], "toco": [20.0, 20.5, 21.0, 21.5]},
        "late": [{"from_ms": T_MS, "to_ms": T_MS + 1000, "arrived_ms": T_MS + 65_000}],
        "events": [BedEvent(id="01K1A4R2Q7M0E5Z8H3W6N9B4XT", kind=EventKind.MARKER, t_ms=T_MS + 500)],
        "analysis": None,
        "alerts": [ALERT],
    }
)
STRIP_BATCH_HEX: Final = encode_batch(0, T_MS + 2000, [WAVE]).hex(" ")
ALIVE: Final = _plain({"status": "alive", "boot_id": BOOT_ID, "t_ms": T_MS})
READY: Final = _plain(
    {
        "is_ready": True,
        "dependencies": {
            "database": Dependency(is_ok=True, detail="PostgreSQL 18, partitions"),
            "broker": Dependency(is_ok=True, detail="connected"),
        },
    }
)
PROGRESS: Final = _plain(
    {
        "boot_id": BOOT_ID,
        "t_ms": T_MS,
        "stages": {"store": StageProgress(last_item_ms=T_MS - 400, age_ms=400, pending=12)},
    }
)
METRICS: Final = "ctg_live_clients 3.0\n"
ANSWERS: Final[dict[str, object]] = {
    "/livez": ALIVE,
    "/readyz": READY,
    "/progress": PROGRESS,
    "/api/v1/beds": BEDS,
    "/api/v1/sites": SITES,
    "/api/v1/beds/{site}/{bed}/strip": STRIP,
    "/api/v1/alerts": ALERTS,
    "/api/v1/alerts/{alert_id}/ack": ACKNOWLEDGED,
}
"""The example of each JSON answer, by path."""
