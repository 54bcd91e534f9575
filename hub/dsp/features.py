"""What one 10-minute window says: the hand-over from signal analysis to the guideline tables."""

from dataclasses import dataclass

from hub.model import Acceleration, Contraction, Deceleration, DecelerationKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """How regularly one kind of deceleration comes with the contractions.

    Counted over the `span_min` minutes that end with the window (at most 60),
    beginning with the first deceleration of the kind.  `fraction` is the share of
    the contractions of that span that carry one; None while contractions are unknown.
    `last_20_min_fraction` is the same over the last 20 minutes (NICHD 2008).
    """

    kind: DecelerationKind
    count: int
    span_min: float
    fraction: float | None
    last_20_min_fraction: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowFeatures:
    """All that one 10-minute window of one fetus says; every `*_s` counts from the first sample.

    Samples judged false (maternal rate, doubling, spikes) count as loss everywhere
    but in `false_signal_fraction`.  None means "could not be read", never zero.
    """

    start_s: float
    end_s: float
    is_rolling: bool = False
    is_complete: bool = True
    """False when the record is shorter than the window: no level may be given."""

    baseline_raw_bpm: float | None
    """Mean of the baseline stretches of this window, not rounded; None: not assessable here."""
    baseline_readable_s: float
    """Seconds of valid signal outside events and outside marked variability."""
    is_several_baselines: bool = False
    """Stretches that could be the baseline differ by 26 bpm or more."""
    previous_baseline_bpm: float | None = None
    """Raw baseline of the newest earlier window that had one, for when this one has none."""

    variability_bpm: float | None
    """Median peak-to-trough amplitude of the 1-minute pieces, rounded half-up to whole bpm."""
    variability_piece_count: int = 0
    """1-minute pieces behind `variability_bpm`."""
    variability_duration_min: float = 0.0
    """Minutes up to the window's end for which the amplitude has stayed in its present range
    (below 5, 5 to 25, above 25 bpm), the window itself included."""
    deceleration_variability_low_min: float = 0.0
    """Longest stretch inside one deceleration of the window with amplitude below 5 bpm, minutes."""

    sinusoidal_min: float = 0.0
    """Minutes for which a sinusoidal pattern that touches the window has been running; 0: none."""
    sinusoidal_amplitude_bpm: float | None = None
    """Mean peak-to-trough amplitude of that pattern."""

    accelerations: tuple[Acceleration, ...] = ()
    decelerations: tuple[Deceleration, ...] = ()
    """Events of which any part lies in the window, in time order."""
    recurrences: tuple[Recurrence, ...] = ()
    """One entry per kind of deceleration seen in the last hour."""

    are_contractions_known: bool = False
    contractions: tuple[Contraction, ...] = ()
    """Contractions whose peak lies in the window."""
    contractions_per_10min: int | None = None
    """Number of those; None while contractions are unknown."""
    contractions_per_10min_mean: float | None = None
    """Mean number per 10 minutes over the last 30 minutes, or what there is of them."""

    valid_fraction: float
    longest_gap_s: float
    is_fall_hidden: bool = False
    """A gap of more than 60 s may hide a prolonged deceleration."""
    false_signal_fraction: float = 0.0
    """Share of the window's samples judged not to be the fetus."""
    is_maternal_rate: bool = False
    """Coincidence with the maternal rate stands at the window's end, or covers a fifth of it."""
    is_doubling_halving: bool = False
    """A doubling or halving of the rate is suspected and was not resolved."""
    is_coincidence_checked: bool = False
    """A maternal rate was there to compare with."""

    gestational_weeks: float | None = None
    modifiers: frozenset[str] = frozenset()
    """Background recorded by people: "growth_restriction", "placental_abnormality", "special_cause"."""
