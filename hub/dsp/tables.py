"""The JSOG five-level tables I-V, their footnotes, and the response table, as data.

Source: Okai T et al., J Obstet Gynaecol Res 2010;36:925-928 (Japanese: Acta Obst
Gynaec Jpn 2010;62:2068-2073), reproduced in the JSOG/JAOG guideline 2023, CQ411.

The numbers of the cells were checked against one independent copy (V1 and K); the
order of the columns rests on general knowledge and reasoning (K) and has not been
compared with print (question Q1).  Until it has, this is not an implementation of
the JSOG guideline.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from hub.model import BaselineClass, DecelerationKind, Evidence, Severity, VariabilityClass

COLUMNS: Final = (
    "none",
    "early",
    "variable_mild",
    "variable_severe",
    "late_mild",
    "late_severe",
    "prolonged_mild",
    "prolonged_severe",
)
ANY_BASELINE: Final = "any"
GROWTH_OR_PLACENTA: Final = "fgr_or_placental_abnormality"
SPECIAL_CAUSE: Final = "special_cause"
FOOTNOTE_GROWTH: Final = "3*"
MODIFIERS: Final[Mapping[str, str]] = {
    GROWTH_OR_PLACENTA: GROWTH_OR_PLACENTA,
    "growth_restriction": GROWTH_OR_PLACENTA,
    "placental_abnormality": GROWTH_OR_PLACENTA,
    SPECIAL_CAUSE: SPECIAL_CAUSE,
}
"""Background that people record -> what the footnotes ask for.

A special cause (drugs, fetal anomaly) is shown and never lowers a level (K).
"""

BRADYCARDIAS: Final = frozenset({BaselineClass.BRADYCARDIA, BaselineClass.SEVERE_BRADYCARDIA})


@dataclass(frozen=True, slots=True, kw_only=True)
class Footnote:
    """A printed footnote that replaces the number of one column."""

    name: str
    baselines: frozenset[BaselineClass]
    column: str
    level: int
    modifier: str | None = None
    """Applies only if this background is recorded."""
    evidence: Evidence = "K"


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelTable:
    """One printed table: a row of levels per baseline class, a column per deceleration.

    A cell that is None is empty in print; `fallback` is then used and marked (E).
    `redirect` names the table whose rows hold for the baselines in `redirected`.
    """

    name: str
    rows: Mapping[str, tuple[int | None, ...]]
    fallback: int | None = None
    footnotes: tuple[Footnote, ...] = ()
    redirect: str | None = None
    redirected: frozenset[BaselineClass] = frozenset()
    evidence: Evidence = "K"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What one cell says, and its reference, for example `II/normal/late_mild+footnote-3*`."""

    level: int
    reference: str
    table: str
    column: str
    is_fallback: bool
    footnote: str | None


TABLES: Final[Mapping[VariabilityClass, LevelTable]] = {
    VariabilityClass.MODERATE: LevelTable(
        name="I",
        rows={
            # columns:             -  E  Vm    Vs Lm Ls Pm    Ps
            "normal":             (1, 2, 2,    3, 3, 3, 3,    4),
            "tachycardia":        (2, 2, 3,    3, 3, 4, 3,    4),
            "bradycardia":        (3, 3, 3,    4, 4, 4, 4,    4),
            "severe_bradycardia": (4, 4, None, 4, 4, 4, None, None),
        },
        fallback=4,
    ),
    VariabilityClass.MINIMAL: LevelTable(
        name="II",
        rows={
            "normal":             (2, 3, 3,    4, 3, 4, 4,    5),
            "tachycardia":        (3, 3, 4,    4, 4, 5, 4,    5),
            "bradycardia":        (4, 4, 4,    5, 5, 5, 5,    5),
            "severe_bradycardia": (5, 5, None, 5, 5, 5, None, None),
        },
        fallback=5,
        footnotes=(
            Footnote(
                name=FOOTNOTE_GROWTH,
                baselines=frozenset({BaselineClass.NORMAL}),
                column="late_mild",
                modifier=GROWTH_OR_PLACENTA,
                level=4,
            ),
        ),
    ),
    VariabilityClass.ABSENT: LevelTable(
        name="III",
        rows={ANY_BASELINE: (4, 5, 5, 5, 5, 5, 5, 5)},
        footnotes=(Footnote(name="bradycardia", baselines=BRADYCARDIAS, column="none", level=5),),
    ),
    VariabilityClass.MARKED: LevelTable(
        name="IV",
        rows={ANY_BASELINE: (2, 2, 3, 3, 3, 4, 3, 4)},
        redirect="I",
        redirected=BRADYCARDIAS,
    ),
    VariabilityClass.SINUSOIDAL: LevelTable(
        name="V",
        rows={ANY_BASELINE: (4, 4, 4, 4, 5, 5, 5, 5)},
    ),
}  # fmt: skip

_BY_NAME: Final = {table.name: table for table in TABLES.values()}


def column_of(kind: DecelerationKind, severity: Severity) -> str:
    """Name the table column of one deceleration.

    Parameters
    ----------
    kind : DecelerationKind
        Undetermined ones, gradual with unknown contractions, stand in the late
        columns: they are treated as late (E).
    severity : Severity
        Mild or severe; early ones are not graded (K).

    Returns
    -------
    str
        One of `COLUMNS`.

    Examples
    --------
    >>> column_of(DecelerationKind.UNDETERMINED, Severity.MILD)
    'late_mild'
    """
    if kind is DecelerationKind.EARLY:
        return "early"
    name = DecelerationKind.LATE if kind is DecelerationKind.UNDETERMINED else kind
    return f"{name.value}_{'severe' if severity is Severity.SEVERE else 'mild'}"


def canonical_modifiers(names: Iterable[str]) -> frozenset[str]:
    """Translate recorded background into what the footnotes ask for.

    Parameters
    ----------
    names : iterable of str
        Keys of `MODIFIERS`.

    Returns
    -------
    frozenset of str
        Values of `MODIFIERS`.

    Raises
    ------
    ValueError
        If a name is unknown: background that is misspelt and dropped would silently
        lower a level.

    Examples
    --------
    >>> canonical_modifiers(["growth_restriction"])
    frozenset({'fgr_or_placental_abnormality'})
    """
    names = tuple(names)
    for name in names:
        if name not in MODIFIERS:
            msg = f"modifiers: expected names out of {', '.join(MODIFIERS)}, got {name!r}"
            raise ValueError(msg)
    return frozenset(MODIFIERS[name] for name in names)


def read_cell(
    variability: VariabilityClass,
    baseline: BaselineClass,
    column: str,
    modifiers: Collection[str] = (),
) -> Cell:
    """Read one cell of the JSOG level tables, footnotes and fallback applied.

    Parameters
    ----------
    variability : VariabilityClass
        Chooses the table.
    baseline : BaselineClass
        Chooses the row.
    column : str
        One of `COLUMNS`.
    modifiers : collection of str, optional
        Background recorded by people, out of the values of `MODIFIERS`.

    Returns
    -------
    Cell
        Level 1-5 with the reference of the cell [1]_.

    Raises
    ------
    ValueError
        If `column` is not one of `COLUMNS`.

    References
    ----------
    .. [1] T. Okai et al., J Obstet Gynaecol Res 36:925-928, 2010 (cells V1 and K,
       footnotes K, fallback for empty cells E).

    Examples
    --------
    >>> cell = read_cell(VariabilityClass.MARKED, BaselineClass.BRADYCARDIA, "none")
    >>> cell.level, cell.reference
    (3, 'IV->I/bradycardia/none')
    """
    if column not in COLUMNS:
        msg = f"column: expected one of {', '.join(COLUMNS)}, got {column!r}"
        raise ValueError(msg)
    table = TABLES[variability]
    path = table.name
    if table.redirect is not None and baseline in table.redirected:
        path = f"{table.name}->{table.redirect}"
        table = _BY_NAME[table.redirect]
    row = ANY_BASELINE if ANY_BASELINE in table.rows else baseline.value
    level = table.rows[row][COLUMNS.index(column)]
    footnote = next((note for note in table.footnotes if _applies(note, baseline, column, modifiers)), None)
    reference = f"{path}/{row}/{column}"
    if footnote is not None:
        level, reference = footnote.level, f"{reference}+footnote-{footnote.name}"
    is_fallback = level is None
    if level is None:
        if table.fallback is None:
            msg = f"{reference}: expected a fallback level for the empty cell, got none"
            raise ValueError(msg)
        level, reference = table.fallback, f"{reference}+na-fallback"
    return Cell(
        level=level,
        reference=reference,
        table=path,
        column=column,
        is_fallback=is_fallback,
        footnote=footnote.name if footnote else None,
    )


def _applies(note: Footnote, baseline: BaselineClass, column: str, modifiers: Collection[str]) -> bool:
    is_recorded = note.modifier is None or note.modifier in modifiers
    return column == note.column and baseline in note.baselines and is_recorded


# ---------------------------------------------------------- response table

DOCTOR_RESPONSE: Final[Mapping[int, tuple[str, ...]]] = {
    1: ("A",),
    2: ("A", "B"),
    3: ("B", "C"),
    4: ("C", "D"),
    5: ("D",),
}
"""Categories of response per level; levels 3 to 5 were read word for word (V1), the rest is K."""

MIDWIFE_RESPONSE: Final[Mapping[int, tuple[str, ...]]] = {
    1: ("A",),
    2: ("B",),
    3: ("B", "C"),
    4: ("C", "D"),
    5: ("D",),
}
"""For midwives of hospitals and clinics, not of midwife-run birth centres (K)."""

DOCTOR_ACTION_JA: Final[Mapping[str, str]] = {
    "A": "経過観察",
    "B": "監視の強化、保存的処置の施行および原因検索",
    "C": "保存的処置の施行および原因検索、急速遂娩の準備",
    "D": "急速遂娩の実行、新生児蘇生の準備",
}
MIDWIFE_ACTION_JA: Final[Mapping[str, str]] = {
    "A": "経過観察",
    "B": "連続監視、医師に報告する",
    "C": "連続監視、医師の立ち会いを要請、急速遂娩の準備",
    "D": "急速遂娩の実行、新生児蘇生の準備",
}
LEVEL_NAME_JA: Final[Mapping[int, str]] = {
    1: "正常波形",
    2: "亜正常波形",
    3: "異常波形・軽度",
    4: "異常波形・中等度",
    5: "異常波形・高度",
}
"""V1.  Levels 3 to 5 are 胎児機能不全, non-reassuring fetal status (V2)."""
