"""Named patients, each with what a reader of the strip has to find on it.

The expected level is the cell of Tables I to V of the Japanese five-level
classification that the stated baseline, variability and decelerations select.
Parameters lie well inside their class, so that the finding does not hang on the
seed: whoever changes a number here has to keep that true, and
`tests/device_sim/test_scenarios.py` measures it.
"""

import dataclasses
from dataclasses import dataclass
from typing import Final

from device_sim.physiology import (
    Accelerations,
    Decelerations,
    Fetus,
    Mother,
    Patient,
    PatientModel,
    SignalLoss,
    Sinusoid,
    Variability,
)
from device_sim.signals import Signals
from hub.model import (
    FS_HZ,
    BaselineClass,
    DecelerationKind,
    Indeterminate,
    Severity,
    VariabilityClass,
)

Finding = tuple[DecelerationKind, Severity]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What every complete 10-minute segment after `warm_up_s` has to say, for each fetus alike.

    `level` is None where there is none to give, and `indeterminate` says why.
    `decelerations` are the kinds that occur in each segment; `cell` is written as
    table/baseline row/deceleration column.
    """

    baseline: BaselineClass | None
    variability: VariabilityClass | None
    level: int | None
    cell: str | None
    decelerations: frozenset[Finding] = frozenset()
    has_accelerations: bool = False
    is_tachysystole: bool = False
    indeterminate: Indeterminate | None = None
    warm_up_s: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    name: str
    summary: str
    patient: Patient
    expected: Expected
    gestational_weeks: float = 39.0

    @property
    def is_twin(self) -> bool:
        return len(self.patient.fetuses) > 1


_NORMAL: Final = BaselineClass.NORMAL
_MODERATE: Final = VariabilityClass.MODERATE
_MINIMAL: Final = VariabilityClass.MINIMAL

_EARLY: Final = (DecelerationKind.EARLY, Severity.UNGRADED)
_LATE_MILD: Final = (DecelerationKind.LATE, Severity.MILD)
_LATE_SEVERE: Final = (DecelerationKind.LATE, Severity.SEVERE)
_VARIABLE_MILD: Final = (DecelerationKind.VARIABLE, Severity.MILD)
_VARIABLE_SEVERE: Final = (DecelerationKind.VARIABLE, Severity.SEVERE)
_PROLONGED_MILD: Final = (DecelerationKind.PROLONGED, Severity.MILD)
_PROLONGED_SEVERE: Final = (DecelerationKind.PROLONGED, Severity.SEVERE)

_FLAT: Final = Variability(amplitude_bpm=0.5)
_SMALL: Final = Variability(amplitude_bpm=3.5)
_QUIET: Final = Variability(amplitude_bpm=9.0)
# Swings of 7 to 11 s each way: too short to be accelerations or decelerations of 15 s.
# Three calm minutes in ten leave a baseline to read.
_SALTATORY: Final = Variability(amplitude_bpm=42.0, lowest_per_min=4.5, highest_per_min=7.5, calm_s=180.0)

# A spaced labour leaves more than two minutes of baseline between long decelerations.
_SPACED: Final = Mother(every_s=240.0)

_EARLY_FALL: Final = Decelerations(depth_bpm=22.0, onset_to_nadir_s=50.0, hold_s=0.0, recovery_s=50.0)
_LATE_FALL: Final = Decelerations(
    depth_bpm=28.0, onset_to_nadir_s=50.0, hold_s=0.0, recovery_s=55.0, lag_s=40.0
)
_LATE_SHALLOW: Final = dataclasses.replace(_LATE_FALL, depth_bpm=11.0, lag_s=44.0)
_VARIABLE_FALL: Final = Decelerations(
    depth_bpm=38.0, onset_to_nadir_s=10.0, hold_s=20.0, recovery_s=12.0, lag_s=-8.0, shoulder_bpm=5.0
)
_VARIABLE_DEEP: Final = Decelerations(
    depth_bpm=82.0, onset_to_nadir_s=14.0, hold_s=28.0, recovery_s=18.0, lag_s=-10.0, shoulder_bpm=5.0
)
# One about every eight minutes: each window of ten holds one, and never more than half of it.
_PROLONGED_FALL: Final = Decelerations(
    depth_bpm=38.0, onset_to_nadir_s=35.0, hold_s=110.0, recovery_s=50.0, every_s=490.0
)
_PROLONGED_DEEP: Final = Decelerations(
    depth_bpm=78.0, onset_to_nadir_s=40.0, hold_s=120.0, recovery_s=60.0, every_s=490.0
)


_TABLE_OF: Final = {
    "I": _MODERATE,
    "II": _MINIMAL,
    "III": VariabilityClass.ABSENT,
    "IV": VariabilityClass.MARKED,
    "V": VariabilityClass.SINUSOIDAL,
}


def _level(
    cell: str,
    level: int,
    *decelerations: Finding,
    has_accelerations: bool = False,
    is_tachysystole: bool = False,
    warm_up_s: float = 600.0,
) -> Expected:
    table, row, _ = cell.split("/")
    return Expected(
        baseline=_NORMAL if row == "any" else BaselineClass(row),
        variability=_TABLE_OF[table],
        level=level,
        cell=cell,
        decelerations=frozenset(decelerations),
        has_accelerations=has_accelerations,
        is_tachysystole=is_tachysystole,
        warm_up_s=warm_up_s,
    )


_ALL: Final = (
    Scenario(
        name="reassuring",
        summary="normal rate and variability, an acceleration about every two and a half minutes",
        patient=Patient(fetuses=(Fetus(accelerations=Accelerations()),)),
        expected=_level("I/normal/none", 1, has_accelerations=True),
    ),
    Scenario(
        name="tachycardia",
        summary="baseline 175, febrile mother",
        patient=Patient(fetuses=(Fetus(baseline_bpm=175.0),), mother=Mother(mhr_bpm=104.0)),
        expected=_level("I/tachycardia/none", 2),
    ),
    Scenario(
        name="bradycardia",
        summary="baseline 98",
        patient=Patient(fetuses=(Fetus(baseline_bpm=98.0, variability=_QUIET),), mother=Mother(mhr_bpm=76.0)),
        expected=_level("I/bradycardia/none", 3),
    ),
    Scenario(
        name="severe_bradycardia",
        summary="baseline 68, the mother's rate apart from it",
        patient=Patient(
            fetuses=(Fetus(baseline_bpm=68.0, wander_bpm=1.0, variability=_QUIET),),
            mother=Mother(mhr_bpm=96.0),
        ),
        expected=_level("I/severe_bradycardia/none", 4),
    ),
    Scenario(
        name="minimal_variability",
        summary="normal rate, variability below 5 bpm",
        patient=Patient(fetuses=(Fetus(variability=_SMALL, wander_bpm=1.0),)),
        expected=_level("II/normal/none", 2),
    ),
    Scenario(
        name="absent_variability",
        summary="normal rate, no visible variability",
        patient=Patient(fetuses=(Fetus(variability=_FLAT, wander_bpm=1.0),)),
        expected=_level("III/any/none", 4),
    ),
    Scenario(
        name="early",
        summary="early deceleration with each contraction",
        patient=Patient(fetuses=(Fetus(variability=_QUIET, decelerations=(_EARLY_FALL,)),), mother=_SPACED),
        expected=_level("I/normal/early", 2, _EARLY),
    ),
    Scenario(
        name="late_mild",
        summary="late deceleration of 11 bpm with each contraction",
        patient=Patient(
            fetuses=(
                Fetus(
                    variability=Variability(amplitude_bpm=8.5), wander_bpm=1.0, decelerations=(_LATE_SHALLOW,)
                ),
            ),
            mother=_SPACED,
        ),
        expected=_level("I/normal/late_mild", 3, _LATE_MILD),
    ),
    Scenario(
        name="late_severe",
        summary="late deceleration of 28 bpm with each contraction",
        patient=Patient(fetuses=(Fetus(variability=_QUIET, decelerations=(_LATE_FALL,)),), mother=_SPACED),
        expected=_level("I/normal/late_severe", 3, _LATE_SEVERE),
    ),
    Scenario(
        name="variable_mild",
        summary="variable deceleration to about 105 bpm with each contraction",
        patient=Patient(fetuses=(Fetus(baseline_bpm=143.0, decelerations=(_VARIABLE_FALL,)),)),
        expected=_level("I/normal/variable_mild", 2, _VARIABLE_MILD),
    ),
    Scenario(
        name="variable_severe",
        summary="variable deceleration to about 60 bpm for a minute with each contraction",
        patient=Patient(fetuses=(Fetus(baseline_bpm=142.0, decelerations=(_VARIABLE_DEEP,)),)),
        expected=_level("I/normal/variable_severe", 3, _VARIABLE_SEVERE),
    ),
    Scenario(
        name="prolonged_mild",
        summary="prolonged deceleration to about 102 bpm every eight minutes",
        patient=Patient(fetuses=(Fetus(decelerations=(_PROLONGED_FALL,)),)),
        expected=_level("I/normal/prolonged_mild", 3, _PROLONGED_MILD),
    ),
    Scenario(
        name="prolonged_severe",
        summary="prolonged deceleration to about 62 bpm every eight minutes",
        patient=Patient(fetuses=(Fetus(decelerations=(_PROLONGED_DEEP,)),), mother=Mother(mhr_bpm=90.0)),
        expected=_level("I/normal/prolonged_severe", 4, _PROLONGED_SEVERE),
    ),
    Scenario(
        name="sinusoidal",
        summary="smooth sine of 4 cycles a minute, 12 bpm from peak to trough, hardly any variability",
        patient=Patient(fetuses=(Fetus(variability=_FLAT, wander_bpm=1.0, sinusoid=Sinusoid()),)),
        expected=_level("V/any/none", 4, warm_up_s=1200.0),
    ),
    Scenario(
        name="marked_variability",
        summary="swings of more than 40 bpm in seven of ten minutes",
        patient=Patient(fetuses=(Fetus(variability=_SALTATORY),)),
        expected=_level("IV/any/none", 2),
    ),
    Scenario(
        name="tachysystole",
        summary="seven contractions in ten minutes, normal fetal heart rate",
        patient=Patient(
            fetuses=(Fetus(),),
            mother=Mother(every_s=82.0, jitter_s=4.0, rise_s=28.0, fall_s=34.0, amplitude=45.0),
        ),
        expected=_level("I/normal/none", 1, is_tachysystole=True),
    ),
    Scenario(
        name="maternal_capture",
        summary="after five minutes the fetal transducer follows the mother's heart",
        patient=Patient(
            fetuses=(Fetus(captured_from_s=300.0),), mother=Mother(mhr_bpm=94.0, mhr_rise_bpm=14.0)
        ),
        expected=Expected(
            baseline=None,
            variability=None,
            level=None,
            cell=None,
            indeterminate=Indeterminate.MATERNAL_RATE,
            warm_up_s=1200.0,
        ),
    ),
    Scenario(
        name="signal_loss",
        summary="less than 40 % of the fetal signal arrives",
        patient=Patient(fetuses=(Fetus(loss=SignalLoss(every_s=40.0, shortest_s=26.0, longest_s=32.0)),)),
        expected=Expected(
            baseline=None,
            variability=None,
            level=None,
            cell=None,
            indeterminate=Indeterminate.TOO_LITTLE_SIGNAL,
        ),
    ),
    Scenario(
        name="twins",
        summary="two healthy fetuses with their own rates",
        patient=Patient(
            fetuses=(
                Fetus(baseline_bpm=132.0, accelerations=Accelerations()),
                Fetus(baseline_bpm=151.0, accelerations=Accelerations(every_s=170.0)),
            )
        ),
        expected=_level("I/normal/none", 1, has_accelerations=True),
        gestational_weeks=37.0,
    ),
    Scenario(
        name="second_stage",
        summary="pushing: maternal rate up with each contraction, variable decelerations, more signal loss",
        patient=Patient(
            fetuses=(
                Fetus(
                    baseline_bpm=150.0,
                    decelerations=(dataclasses.replace(_VARIABLE_FALL, depth_bpm=32.0),),
                    loss=SignalLoss(every_s=50.0, shortest_s=1.0, longest_s=5.0),
                ),
            ),
            mother=Mother(every_s=150.0, is_pushing=True, amplitude=60.0, mhr_bpm=84.0, mhr_rise_bpm=22.0),
        ),
        expected=_level("I/normal/variable_mild", 2, _VARIABLE_MILD),
    ),
    Scenario(
        name="minimal_with_late",
        summary="variability below 5 bpm and late decelerations of 28 bpm",
        patient=Patient(
            fetuses=(Fetus(variability=_SMALL, wander_bpm=1.0, decelerations=(_LATE_FALL,)),), mother=_SPACED
        ),
        expected=_level("II/normal/late_severe", 4, _LATE_SEVERE),
    ),
    Scenario(
        name="tachycardia_minimal_with_late",
        summary="baseline 175, variability below 5 bpm and late decelerations of 28 bpm",
        patient=Patient(
            fetuses=(
                Fetus(baseline_bpm=175.0, variability=_SMALL, wander_bpm=1.0, decelerations=(_LATE_FALL,)),
            ),
            mother=dataclasses.replace(_SPACED, mhr_bpm=104.0),
        ),
        expected=_level("II/tachycardia/late_severe", 5, _LATE_SEVERE),
    ),
    Scenario(
        name="absent_with_late",
        summary="no visible variability and late decelerations of 28 bpm",
        patient=Patient(
            # Wider apart still: the foot of a deceleration looks like variability where there is none.
            fetuses=(Fetus(variability=_FLAT, wander_bpm=1.0, decelerations=(_LATE_FALL,)),),
            mother=Mother(every_s=300.0),
        ),
        expected=_level("III/any/late_severe", 5, _LATE_SEVERE),
    ),
)

SCENARIOS: Final[dict[str, Scenario]] = {scenario.name: scenario for scenario in _ALL}


def scenario_source(name: str, *, seed: int) -> PatientModel:
    """Give the endless signal source of a scenario.

    Raises
    ------
    KeyError
        If there is no scenario of that name.
    """
    return PatientModel(SCENARIOS[name].patient, seed)


def scenario_signals(name: str, *, seed: int, duration_s: float) -> Signals:
    """Give the first `duration_s` of a scenario in one piece.

    Raises
    ------
    KeyError
        If there is no scenario of that name.
    ValueError
        If `duration_s` is less than one sample or `seed` is negative.
    """
    return scenario_source(name, seed=seed).samples(0, int(duration_s * FS_HZ))
