"""What the tests of the console share: an offscreen Qt, and messages as a hub would send them."""

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from PySide6.QtWidgets import QApplication

from hub.model import (
    Alert,
    AlertPath,
    AlertState,
    BedAnalysis,
    BedView,
    BedVitals,
    Channel,
    DeviceState,
    FetusAnalysis,
    FetusVitals,
    FrameFlag,
    LevelSpan,
    LiveMessage,
    MonitorStatus,
    Priority,
    SignalQuality,
    SiteState,
    Transducer,
    WaveEntry,
    WaveFrame,
)
from hub.wire import encode_wave, samples_from_values

T0_MS = 1_785_294_000_000
KEY = "h012/bed3"


@pytest.fixture(scope="session")
def app() -> QApplication:
    """The one Qt application of the test run."""
    running = QApplication.instance()
    return running if isinstance(running, QApplication) else QApplication([])


def make_frame(
    fhr: npt.ArrayLike,
    *,
    t0_ms: int = T0_MS,
    toco: npt.ArrayLike | None = None,
    mhr: npt.ArrayLike | None = None,
    period_ms: int = 250,
    flags: FrameFlag = FrameFlag.NONE,
    epoch: int = 7,
    seq: int = 0,
    bed: str = "bed3",
) -> WaveFrame:
    """One wave frame with the given values; NaN is signal loss."""
    values = np.atleast_1d(np.asarray(fhr, np.float64))
    channels = [samples_from_values(Channel.FHR1, values, transducer=Transducer.ULTRASOUND)]
    if mhr is not None:
        channels.append(samples_from_values(Channel.MHR, mhr, transducer=Transducer.EXTERNAL))
    if toco is not None:
        channels.append(samples_from_values(Channel.TOCO, toco, transducer=Transducer.EXTERNAL))
    return WaveFrame(
        site="h012",
        bed=bed,
        epoch=epoch,
        seq=seq,
        t0_ms=t0_ms,
        period_ms=period_ms,
        n_ticks=values.size,
        flags=flags,
        status=MonitorStatus.ON,
        channels=tuple(channels),
    )


def make_entry(frame: WaveFrame, arrived_ms: int | None = None) -> WaveEntry:
    """The frame as the hub hands it on; it arrived 40 ms after its last tick unless said."""
    arrived = frame.end_ms + 40 if arrived_ms is None else arrived_ms
    return WaveEntry(frame.site, frame.bed, arrived, encode_wave(frame))


def make_analysis(
    level: int | None, *, computed_ms: int = T0_MS, fetus: int = 1, **changes: object
) -> BedAnalysis:
    """A reading whose shown level is `level`."""
    one = FetusAnalysis(
        fetus=fetus,
        origin_ms=T0_MS - 600_000,
        computed_ms=computed_ms,
        level=level,
        level_since_ms=T0_MS - 60_000,
        last_level=2,
        last_level_ms=T0_MS - 60_000,
        rolling=None,
        segments=(),
        baseline_step_ms=5000,
        baseline_bpm=(140.0,) * 120,
        accelerations=(),
        decelerations=(),
        suspect_spans_s=(),
        ribbon=(LevelSpan(start_ms=T0_MS - 60_000, end_ms=T0_MS, level=level),),
        is_coincidence_checked=True,
        algorithm="test",
    )
    return BedAnalysis(
        fetuses=(replace(one, **changes),),  # type: ignore[arg-type]  # fields of FetusAnalysis by name
        contractions=(),
        are_contractions_known=True,
        contractions_per_10min=3,
        is_tachysystole=False,
    )


def make_view(
    *,
    bed: str = "bed3",
    age_ms: int | None = 500,
    fhr: float | None = 140.0,
    link: SiteState | None = SiteState.ONLINE,
    is_coincident: bool = False,
    is_test: bool = False,
    head_ms: int | None = T0_MS,
    analysis: BedAnalysis | None = None,
) -> BedView:
    """A bed as the hub describes it."""
    return BedView(
        site="h012",
        bed=bed,
        site_name="施設A",
        label=f"A-{bed}",
        gestational_weeks=39.5,
        vitals=BedVitals(
            head_ms=head_ms,
            age_ms=age_ms,
            clock_offset_ms=0,
            link=link,
            device=DeviceState.OK,
            is_test=is_test,
            fetuses=(FetusVitals(fetus=1, fhr_bpm=fhr, quality=SignalQuality.GREEN, signal_fraction=0.97),),
            mhr_bpm=82.0,
            toco=21.0,
            iup_mmhg=None,
            is_coincident=is_coincident,
        ),
        analysis=analysis,
    )


def make_message(
    *views: BedView, t_ms: int = T0_MS, seq: int = 1, alerts: tuple[Alert, ...] = (), is_snapshot: bool = True
) -> LiveMessage:
    """One JSON message of the live push."""
    return LiveMessage(
        type="snapshot" if is_snapshot else "update",
        seq=seq,
        t_ms=t_ms,
        boot_id="boot-1",
        beds=views,
        alerts=alerts,
    )


def make_alert(
    rule: str = "fhr_below_80",
    *,
    bed: str = "bed3",
    priority: Priority = Priority.HIGH,
    state: AlertState = AlertState.ACTIVE,
    raised_ms: int = T0_MS,
    changed_ms: int | None = None,
    path: AlertPath = AlertPath.RAW_RATE,
) -> Alert:
    """An alert as it stands."""
    return Alert(
        id=f"h012.{bed}.1.{rule}.{raised_ms}",
        site="h012",
        bed=bed,
        fetus=1,
        rule=rule,
        path=path,
        priority=priority,
        state=state,
        is_present=True,
        onset_ms=raised_ms - 60_000,
        raised_ms=raised_ms,
        changed_ms=raised_ms if changed_ms is None else changed_ms,
        values={"value_bpm": 67.0, "limit_bpm": 80.0, "duration_s": 60.0},
    )
