"""What the consoles are told."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from hub.model.alerts import Alert
from hub.model.findings import Acceleration, Classification, Contraction, Deceleration
from hub.model.messages import BedEvent, DeviceState, SiteHealth, SiteState
from hub.model.waves import SignalQuality


@dataclass(frozen=True, slots=True, kw_only=True)
class FetusVitals:
    """Numbers of one fetus, refreshed each second; None where there is no current signal."""

    fetus: int
    fhr_bpm: float | None
    quality: SignalQuality
    signal_fraction: float
    """Share of the last 10 minutes that carries signal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BedVitals:
    """State and numbers of one bed, refreshed each second.

    `head_ms` is the end of the newest sample on the site's clock.  `age_ms` is the
    time since the newest live frame arrived, measured on the hub's monotonic clock
    at the `t_ms` of the message; a console adds its own time since receipt.
    """

    head_ms: int | None
    age_ms: int | None
    clock_offset_ms: int | None
    link: SiteState | None
    device: DeviceState | None
    is_test: bool
    fetuses: tuple[FetusVitals, ...]
    mhr_bpm: float | None
    toco: float | None
    iup_mmhg: float | None
    is_coincident: bool
    """The device itself reports that maternal and fetal rate coincide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelSpan:
    """A stretch of the ribbon: one level (None: 判定不能) of one fetus."""

    start_ms: int
    end_ms: int
    level: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FetusAnalysis:
    """The latest reading of one fetus.  All `*_s` in it count from `origin_ms`.

    `level` is the shown level: raised at once, lowered only at a segment's end;
    None is 「判定不能」 and `last_level` with `last_level_ms` is what stood before.
    `baseline_bpm[i]` stands at `origin_ms + i * baseline_step_ms`; None: not assessable.
    """

    fetus: int
    origin_ms: int
    computed_ms: int
    level: int | None
    level_since_ms: int
    last_level: int | None
    last_level_ms: int | None
    rolling: Classification | None
    segments: tuple[Classification, ...]
    baseline_step_ms: int
    baseline_bpm: tuple[float | None, ...]
    accelerations: tuple[Acceleration, ...]
    decelerations: tuple[Deceleration, ...]
    suspect_spans_s: tuple[tuple[float, float], ...]
    """Spans in which the FHR is probably the mother's or otherwise false."""
    ribbon: tuple[LevelSpan, ...]
    is_coincidence_checked: bool
    algorithm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BedAnalysis:
    """What the analysis says of one bed; contractions count from the fetus' `origin_ms` (shared)."""

    fetuses: tuple[FetusAnalysis, ...]
    contractions: tuple[Contraction, ...]
    are_contractions_known: bool
    contractions_per_10min: int | None
    is_tachysystole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BedView:
    """One bed as both consoles show it.  `analysis` is None in an update that does not change it."""

    site: str
    bed: str
    site_name: str | None
    label: str | None
    gestational_weeks: float | None
    vitals: BedVitals
    analysis: BedAnalysis | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteView:
    """One site and its agent, as the hub knows them."""

    site: str
    site_name: str | None
    link: SiteState | None
    version: str | None
    beds: tuple[str, ...]
    health: SiteHealth | None
    """What its agent last said; `health_age_ms` ago by the hub's monotonic clock."""
    health_age_ms: int | None
    fill_frames_per_s: float
    """What comes on its fill lane."""
    credit_frames_per_s: float | None
    """What it was last allowed to send there; None: nothing was said."""


class NoticeKind(StrEnum):
    """What concerns every bed at once."""

    STORE_AWAY = "store_away"
    """The database takes no writes: live goes on, the past cannot be read."""
    BEDS_FULL = "beds_full"
    """Beds send that this hub has no room for: stored, but neither shown nor watched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubNotice:
    """Something about the hub itself that every console has to show while it stands."""

    kind: NoticeKind
    since_ms: int
    count: int | None = None
    """Of the beds without room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveMessage:
    """One JSON message of `/ws/v1/live`: a snapshot of everything, or one second's update."""

    type: Literal["snapshot", "update"]
    seq: int
    t_ms: int
    boot_id: str
    beds: tuple[BedView, ...]
    alerts: tuple[Alert, ...]
    """Snapshot: all that are not clear.  Update: those that changed, cleared ones included."""
    events: dict[str, tuple[BedEvent, ...]] = field(default_factory=dict)
    """New bed events by `site/bed`."""
    notices: tuple[HubNotice, ...] = ()
    """All that stand now; a notice that is no longer named is over."""
