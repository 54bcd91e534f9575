"""What the site sees of its own beds without any hub: newest minutes, numbers, raw-rate and technical alerts.

No I/O and no clock: frames come in as they are written to the outbox, and `tick`
is called once a second with the time.  There is no analysis here, so no level: the
fixed limits on the raw rate and the technical alerts need none.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from hub.acquisition.ring import RING_CHANNELS, Ring, is_test_frame
from hub.alerts.engine import (
    BedAlerts,
    RawRateObservation,
    SignalObservation,
    TechnicalObservation,
    raw_rate_seconds,
    signal_loss_seconds,
)
from hub.model import (
    FS_HZ,
    GRID_MS,
    AckReason,
    Alert,
    AlertTransition,
    BedState,
    BedView,
    BedVitals,
    Channel,
    DeviceState,
    FetusVitals,
    FrameFlag,
    MonitorStatus,
    SignalQuality,
    SiteState,
    WaveEntry,
    WaveFrame,
)
from hub.wire import to_quality, to_values
from site_agent.past import Past

HISTORY_S: Final = 20 * 60
"""What a page that opens is given at once; older strips come from the outbox."""

WATCHED_S: Final = 600
"""Longer than the longest raw-rate delay with its margin, and the span of the signal share."""

SHOWN_S: Final = 3
"""A number older than this is not shown as the present one."""

SILENT_MS: Final = 3000
"""Without new samples for this long nothing is said of the signal: silence is its own alert (goal R10)."""

_FETUSES: Final = {Channel.FHR1: 1, Channel.FHR2: 2, Channel.FHR3: 3}
_COLUMN: Final = {channel: column for column, channel in enumerate(RING_CHANNELS)}

BedKey = tuple[str, str]


@dataclass(slots=True)
class _Bed:
    key: BedKey
    row: int
    alerts: BedAlerts
    past: Past
    epoch: int | None = None
    state: BedState | None = None
    status: MonitorStatus = MonitorStatus.NONE
    is_test: bool = False
    live_s: float | None = None
    """When its newest ticks came, on the monotonic clock; before this start too."""
    live_since_ms: int = 0
    restored_s: float = -math.inf
    """When its past was taken from the outbox; what was not heard before is no silence of the device."""
    quality: dict[int, SignalQuality] = field(default_factory=dict)
    fetuses: set[int] = field(default_factory=set)
    fractions: dict[int, float] = field(default_factory=dict)

    def fetus_numbers(self) -> tuple[int, ...]:
        return tuple(sorted(self.fetuses)) or (1,)


class SiteWatch:
    """The beds of one site, as its own page shows them."""

    def __init__(self, site: str, beds: Sequence[str], *, site_name: str | None = None) -> None:
        self._site = site
        self._site_name = site_name
        self._ring = Ring(len(beds), length_s=HISTORY_S)
        self._beds: dict[BedKey, _Bed] = {}
        for name in beds:
            row = self._ring.add_bed()
            if row is not None:
                self._beds[site, name] = _Bed((site, name), row, BedAlerts(site, name), Past(site, name))

    # ----------------------------------------------------------------- what comes in

    def push_frame(
        self, frame: WaveFrame, payload: bytes, *, is_late: bool, now_ms: int, now_s: float
    ) -> None:
        """Take a frame that is in the outbox; `is_late` says that it is not of this moment."""
        bed = self._beds.get((frame.site, frame.bed))
        if bed is None:
            return
        head_ms = self._ring.head_ms(bed.row)
        is_newest = not is_late and (
            head_ms is None or frame.epoch != bed.epoch or frame.end_ms > head_ms - GRID_MS
        )
        self._ring.push(bed.row, frame, is_newest=is_newest, late_ms=now_ms if is_late else 0)
        if not is_late:
            if bed.live_s is None or bed.live_s < bed.restored_s:
                bed.live_since_ms = frame.t0_ms
            self._note(bed, frame, now_s)
        bed.past.append(now_ms, payload)
        bed.past.forget(now_ms - HISTORY_S * 1000)

    def restore(
        self, name: str, past: Sequence[tuple[WaveFrame, bytes]], *, now_ms: int, now_s: float
    ) -> None:
        """Take what the outbox holds of a bed's last minutes, at the start; its age stays what it is.

        Where no agent ran there is a gap.  Live frames may have come already.  Several pieces
        are given newest first.
        """
        bed = self._beds[self._site, name]
        here = {entry.payload for entry in bed.past.since(0)}
        past = sorted((one for one in past if one[1] not in here), key=lambda one: one[0].t0_ms)
        for frame, _ in past:
            was_late = FrameFlag.BACKFILL in frame.flags
            self._ring.push(bed.row, frame, is_newest=False, late_ms=frame.end_ms if was_late else 0)
        heard = [frame for frame, _ in past if FrameFlag.BACKFILL not in frame.flags]
        if heard and bed.live_s is None:
            newest = heard[-1]
            bed.live_since_ms = newest.t0_ms
            self._note(bed, newest, now_s - max(0, now_ms - newest.end_ms) / 1000)
        bed.restored_s = now_s
        bed.past.put_before(
            WaveEntry(frame.site, frame.bed, frame.end_ms, payload) for frame, payload in past
        )

    def restore_alerts(self, alerts: Iterable[Alert]) -> None:
        """Take over the alerts that stood when the last agent ended, acknowledged ones as such."""
        for alert in alerts:
            if (bed := self._beds.get((alert.site, alert.bed))) is not None:
                bed.alerts.restore([alert])

    def _note(self, bed: _Bed, frame: WaveFrame, live_s: float) -> None:
        bed.epoch, bed.live_s = frame.epoch, live_s
        bed.status, bed.is_test = frame.status, is_test_frame(frame)
        _note_fetuses(bed, frame)

    def push_state(self, bed: str, state: BedState) -> None:
        """Take what is known of a bed's device."""
        if (known := self._beds.get((self._site, bed))) is not None:
            known.state = state

    def tick(self, now_ms: int, now_s: float) -> list[AlertTransition]:
        """Check every bed against the fixed limits; call once a second."""
        rows = [
            (bed, fetus)
            for bed in self._beds.values()
            if bed.live_s is not None
            for fetus in bed.fetus_numbers()
        ]
        if not rows:
            return []
        n_samples = round(WATCHED_S * FS_HZ)
        fhr = self._ring.column(
            np.array([bed.row for bed, _ in rows], np.intp),
            np.array([_COLUMN[Channel(fetus)] for _, fetus in rows], np.intp),
            n_samples,
        )
        rates = raw_rate_seconds(fhr, fs=FS_HZ)
        loss_s = signal_loss_seconds(fhr, fs=FS_HZ)
        fraction = np.isfinite(fhr).mean(axis=1)
        observed: dict[BedKey, list[tuple[RawRateObservation, SignalObservation]]] = {}
        for row, (bed, fetus) in enumerate(rows):
            end_ms = self._ring.head_ms(bed.row) or now_ms
            bed.fractions[fetus] = float(fraction[row])
            lost_s = min(float(loss_s[row]), max(0.0, (end_ms - bed.live_since_ms) / 1000))
            signal = SignalObservation(
                fetus=fetus,
                loss_s=lost_s,
                loss_since_ms=end_ms - round(lost_s * 1000),
                signal_percent=round(100 * float(fraction[row]), 1),
            )
            observed.setdefault(bed.key, []).append((rates.observe(row, fetus=fetus, end_ms=end_ms), signal))
        transitions: list[AlertTransition] = []
        for key, of_bed in observed.items():
            transitions += self._check(self._beds[key], of_bed, now_ms, now_s)
        return transitions

    def _check(
        self,
        bed: _Bed,
        observed: Sequence[tuple[RawRateObservation, SignalObservation]],
        now_ms: int,
        now_s: float,
    ) -> list[AlertTransition]:
        age_ms = self._age_ms(bed, now_s)
        moves: list[AlertTransition] = []
        if age_ms is not None and age_ms < SILENT_MS:
            for rate, _ in observed:
                moves += bed.alerts.push_raw(rate, now_ms)
        device = bed.state.state if bed.state else None
        technical = TechnicalObservation(
            age_s=min((age_ms or 0) / 1000, now_s - bed.restored_s),
            head_ms=self._ring.head_ms(bed.row) or now_ms,
            is_monitored=device is not DeviceState.UNCONFIGURED,
            why=f"device_{device}" if device in {DeviceState.DISCONNECTED, DeviceState.STALE} else "no_data",
            signals=tuple(signal for _, signal in observed) if (age_ms or 0) < SILENT_MS else (),
        )
        return moves + bed.alerts.push_technical(technical, now_ms)

    # ------------------------------------------------------------------ what is shown

    def bed_keys(self) -> list[BedKey]:
        """All beds of the configuration, whether or not a device has spoken."""
        return list(self._beds)

    def views(self, keys: Collection[BedKey] | None, *, now_s: float) -> list[BedView]:
        """Beds as they stand now, all or those asked for; without a reading, for there is none here."""
        asked = self._beds if keys is None else [key for key in keys if key in self._beds]
        return [self._view(self._beds[key], now_s) for key in asked]

    def recent_waves(self, key: BedKey, span_s: float, *, now_ms: int) -> list[WaveEntry]:
        """Frames of the last seconds of a bed, in the order in which they were written."""
        bed = self._beds.get(key)
        since_ms = now_ms - round(min(span_s, HISTORY_S) * 1000)
        return bed.past.since(since_ms) if bed else []

    def alerts(self) -> list[Alert]:
        """All alerts that are not clear."""
        return [alert for bed in self._beds.values() for alert in bed.alerts.alerts]

    def acknowledge(self, alert_id: str, *, by: str, reason: AckReason, now_ms: int) -> AlertTransition:
        """Acknowledge an alert.  Raises KeyError for an unknown one, ValueError if it cannot be."""
        for bed in self._beds.values():
            if any(alert.id == alert_id for alert in bed.alerts.alerts):
                return bed.alerts.acknowledge(alert_id, by=by, reason=reason, t_ms=now_ms)
        msg = f"{self._site}: expected the id of an open alert, got {alert_id!r}"
        raise KeyError(msg)

    def _age_ms(self, bed: _Bed, now_s: float) -> int | None:
        return None if bed.live_s is None else max(0, round((now_s - bed.live_s) * 1000))

    def _view(self, bed: _Bed, now_s: float) -> BedView:
        newest = self._ring.newest(bed.row, round(SHOWN_S * FS_HZ))[0]
        state = bed.state
        return BedView(
            site=bed.key[0],
            bed=bed.key[1],
            site_name=self._site_name,
            label=state.label if state else None,
            gestational_weeks=state.gestational_weeks if state else None,
            vitals=BedVitals(
                head_ms=self._ring.head_ms(bed.row),
                age_ms=self._age_ms(bed, now_s),
                clock_offset_ms=0,
                link=SiteState.ONLINE,
                device=state.state if state else None,
                is_test=bed.is_test,
                fetuses=tuple(
                    FetusVitals(
                        fetus=number,
                        fhr_bpm=_number(newest[_COLUMN[Channel(number)]]),
                        quality=bed.quality.get(number, SignalQuality.UNKNOWN),
                        signal_fraction=round(bed.fractions.get(number, 0.0), 3),
                    )
                    for number in bed.fetus_numbers()
                ),
                mhr_bpm=_number(newest[_COLUMN[Channel.MHR]]),
                toco=_number(newest[_COLUMN[Channel.TOCO]]),
                iup_mmhg=_number(newest[_COLUMN[Channel.IUP]]),
                is_coincident=MonitorStatus.COINCIDENCE in bed.status,
            ),
        )


def _note_fetuses(bed: _Bed, frame: WaveFrame) -> None:
    for block in frame.channels:
        number = _FETUSES.get(block.channel)
        if number is None:
            continue
        bed.quality[number] = SignalQuality(int(to_quality(block)[-1]))
        if np.isfinite(to_values(block)).any():
            bed.fetuses.add(number)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 2)
