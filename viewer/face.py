"""What of a bed may be shown now: glyph, numbers, age.  Pure; every value here has passed its age."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from hub.model import DeviceState, FetusAnalysis, Indeterminate, SiteState
from viewer.state import Bed, Wall, worst_level

MARKED_S: Final = 3.0
"""An older value is greyed and carries its age (design.md 4.2)."""
GONE_S: Final = 10.0
"""An older value is not shown at all."""
_STUCK_ANALYSIS_MS: Final = 60_000
"""A level computed longer ago says nothing of now (reanalysis is due every 10 s)."""
_NORMAL_FHR: Final = (110, 160)
_POOR_SIGNAL: Final = 0.8
"""Share of signal below which a level is marked (clinical-rules.md 6)."""


class Freshness(IntEnum):
    """How far the data of a bed can be believed, best first."""

    LIVE = 0
    MARKED = 1
    STALE = 2
    WAITING = 3
    """No data yet."""
    SITE_DARK = 4
    HUB_DARK = 5


class Glyph(StrEnum):
    LEVEL_1 = "1"
    LEVEL_2 = "2"
    LEVEL_3 = "3"
    LEVEL_4 = "4"
    LEVEL_5 = "5"
    UNKNOWN = "?"
    DARK = "dark"
    PAUSED = "paused"


class Look(StrEnum):
    """How a number is drawn."""

    LIVE = "live"
    GREY = "grey"
    UNKNOWN = "?"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Number:
    """A number that may be drawn; `value` is None unless `look` is LIVE or GREY."""

    look: Look
    value: float | None = None

    @property
    def is_outside(self) -> bool:
        """Outside 110-160 bpm: drawn bold, which is not an alarm."""
        return self.value is not None and not _NORMAL_FHR[0] <= round(self.value) <= _NORMAL_FHR[1]


@dataclass(frozen=True, slots=True)
class FetusFace:
    """One fetus: its number and its own level (None: 判定不能)."""

    fetus: int
    fhr: Number
    level: int | None
    signal_fraction: float


@dataclass(frozen=True, slots=True)
class Face:
    """Everything a tile may show of a bed at one moment."""

    freshness: Freshness
    age_s: float | None
    glyph: Glyph
    is_grey: bool
    level: int | None
    """The level that stands now; None whenever it is not known now."""
    since_ms: int | None
    last_level: int | None
    """What stood before, for words only."""
    last_level_ms: int | None
    trend: int
    """+1 the level rose to where it is, -1 it fell, 0 neither."""
    why_unknown: Indeterminate | None
    fetuses: tuple[FetusFace, ...]
    mhr: Number
    toco: Number
    contractions: Number
    is_tachysystole: bool
    is_maternal: bool
    is_poor_signal: bool
    signal_fraction: float | None
    is_test: bool
    silent_s: float | None
    """How long the hub has been silent."""
    lost_ms: int | None
    """End of the last sample when data are stale or dark: where the hatch begins."""


def make_face(wall: Wall, bed: Bed, now_s: float) -> Face:
    """Decide what may be shown of a bed at `now_s`."""
    vitals = bed.view.vitals
    age_s = bed.age_s(now_s)
    freshness = find_freshness(wall, bed, now_s)
    shown = _worst_fetus(bed)
    is_maternal = is_maternal_suspected(bed)
    is_stuck = (
        shown is not None and wall.hub_ms is not None and wall.hub_ms - shown.computed_ms > _STUCK_ANALYSIS_MS
    )
    standing = worst_level(bed.analysis)
    level = None if is_maternal or is_stuck or freshness >= Freshness.STALE else standing
    glyph, is_grey = _glyph(freshness, standing if not (is_maternal or is_stuck) else None)
    last_level, last_level_ms = _last_level(shown, level, standing)
    signal = min((f.signal_fraction for f in vitals.fetuses), default=None)
    contractions = bed.analysis.contractions_per_10min if bed.analysis else None
    return Face(
        freshness=freshness,
        age_s=age_s,
        glyph=glyph,
        is_grey=is_grey,
        level=level,
        since_ms=(shown.level_since_ms or None) if shown else None,
        last_level=last_level,
        last_level_ms=last_level_ms,
        trend=_trend(shown),
        why_unknown=_why(bed, shown, is_maternal, is_stuck) if level is None else None,
        fetuses=tuple(
            FetusFace(
                f.fetus,
                _number(f.fhr_bpm, freshness, is_hidden=is_maternal),
                _level_of(bed, f.fetus),
                f.signal_fraction,
            )
            for f in vitals.fetuses
        ),
        mhr=_number(vitals.mhr_bpm, freshness),
        toco=_number(vitals.toco if vitals.toco is not None else vitals.iup_mmhg, freshness),
        contractions=_number(None if contractions is None else float(contractions), freshness),
        is_tachysystole=bool(bed.analysis and bed.analysis.is_tachysystole),
        is_maternal=is_maternal,
        is_poor_signal=signal is not None and signal < _POOR_SIGNAL,
        signal_fraction=signal if freshness < Freshness.STALE else None,
        is_test=vitals.is_test,
        silent_s=wall.silent_s(now_s),
        lost_ms=bed.ring.head_ms if freshness >= Freshness.STALE else None,
    )


def is_maternal_suspected(bed: Bed) -> bool:
    """Whether the device or the analysis says that the FHR may be the mother's."""
    if bed.view.vitals.is_coincident:
        return True
    fetuses = bed.analysis.fetuses if bed.analysis else ()
    return any(
        f.rolling is not None and f.rolling.indeterminate is Indeterminate.MATERNAL_RATE for f in fetuses
    )


def find_freshness(wall: Wall, bed: Bed, now_s: float) -> Freshness:
    """Find how far the data of a bed can be believed at `now_s`."""
    age_s = bed.age_s(now_s)
    if wall.is_dark(now_s):
        return Freshness.HUB_DARK
    if bed.view.vitals.link is SiteState.OFFLINE:
        return Freshness.SITE_DARK
    if age_s is None:
        return Freshness.WAITING
    if age_s >= GONE_S or bed.view.vitals.device is DeviceState.DISCONNECTED:
        return Freshness.STALE
    return Freshness.MARKED if age_s > MARKED_S else Freshness.LIVE


def _glyph(freshness: Freshness, standing: int | None) -> tuple[Glyph, bool]:
    if freshness >= Freshness.SITE_DARK:
        return Glyph.DARK, False
    is_grey = freshness is not Freshness.LIVE
    if standing is None or (is_grey and standing == 1):
        # A level 1 that is not known to stand now is not shown, not even in grey.
        return Glyph.UNKNOWN, is_grey
    return Glyph(str(standing)), is_grey


def _number(value: float | None, freshness: Freshness, *, is_hidden: bool = False) -> Number:
    if freshness >= Freshness.STALE:
        return Number(Look.GONE)
    if value is None or is_hidden:
        return Number(Look.UNKNOWN)
    return Number(Look.LIVE if freshness is Freshness.LIVE else Look.GREY, value)


def _worst_fetus(bed: Bed) -> FetusAnalysis | None:
    if bed.analysis is None or not bed.analysis.fetuses:
        return None
    standing = worst_level(bed.analysis)
    return next((f for f in bed.analysis.fetuses if f.level == standing), bed.analysis.fetuses[0])


def _level_of(bed: Bed, fetus: int) -> int | None:
    fetuses = bed.analysis.fetuses if bed.analysis else ()
    return next((f.level for f in fetuses if f.fetus == fetus), None)


def _last_level(
    shown: FetusAnalysis | None, level: int | None, standing: int | None
) -> tuple[int | None, int | None]:
    if shown is None or level is not None:
        return None, None
    if standing is not None:
        return standing, shown.ribbon[-1].end_ms if shown.ribbon else shown.level_since_ms
    return shown.last_level, shown.last_level_ms


def _trend(shown: FetusAnalysis | None) -> int:
    if shown is None or shown.level is None:
        return 0
    earlier = [s.level for s in shown.ribbon if s.level is not None and s.end_ms <= shown.level_since_ms]
    before = earlier[-1] if earlier else shown.last_level
    if before is None or before == shown.level:
        return 0
    return 1 if shown.level > before else -1


def _why(bed: Bed, shown: FetusAnalysis | None, is_maternal: bool, is_stuck: bool) -> Indeterminate | None:
    if is_maternal:
        return Indeterminate.MATERNAL_RATE
    if is_stuck:
        return Indeterminate.FAULT
    if shown is not None and shown.rolling is not None and shown.rolling.indeterminate is not None:
        return shown.rolling.indeterminate
    return Indeterminate.TOO_SHORT if bed.analysis is None else None
