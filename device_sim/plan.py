"""Which sites and beds there are and what each bed plays."""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from device_sim.records import read_shipped
from device_sim.replay import Replay
from device_sim.scenarios import SCENARIOS, scenario_source
from device_sim.signals import SignalSource
from hub.errors import RecordError, SettingsError, WireError
from hub.records import read_record
from hub.wire import TopicKind, parse_topic, topic


@dataclass(frozen=True, slots=True, kw_only=True)
class BedPlan:
    """One bed: `kind` is scenario, recording (shipped) or file, `name` which one."""

    bed: str
    kind: str
    name: str
    offset_s: float = 0.0
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePlan:
    site: str
    beds: tuple[BedPlan, ...]
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedBed:
    """A bed whose source is open, with what its retained state says."""

    plan: BedPlan
    source: SignalSource
    gestational_weeks: float | None
    is_twin: bool


def parse_bed(text: str) -> BedPlan:
    """Read `bed1=scenario:late_severe`, `bed1=recording:1017@600` or `bed1=file:strip.csv`.

    The number behind `@` is the second of the recording to start from.

    Raises
    ------
    SettingsError
        If the text has another form.
    """
    bed, _, source = text.partition("=")
    kind, _, name = source.partition(":")
    name, _, offset = name.partition("@")
    if not bed or not name or kind not in ("scenario", "recording", "file"):
        msg = f"expected BED=scenario:NAME, BED=recording:NAME[@S] or BED=file:PATH[@S], got {text!r}"
        raise SettingsError(msg)
    try:
        offset_s = float(offset or 0)
    except ValueError as error:
        msg = f"bed {text!r}: expected seconds behind @, got {offset!r}"
        raise SettingsError(msg) from error
    return BedPlan(bed=bed, kind=kind, name=name, offset_s=offset_s)


def check_names(plan: SitePlan) -> None:
    """Refuse names that no topic can carry, repeated beds, and a site without any.

    Raises
    ------
    SettingsError
        If one of these is found.
    """
    names = [bed.bed for bed in plan.beds]
    if not names or len(set(names)) != len(names):
        msg = f"site {plan.site}: expected beds with names of their own, got {', '.join(names) or 'none'}"
        raise SettingsError(msg)
    for name in names:
        try:
            parse_topic(topic(plan.site, name, TopicKind.STATE))
        except WireError as error:
            msg = f"{plan.site}/{name}: expected names of letters, digits, _ and -, at most 32: {error}"
            raise SettingsError(msg) from error


def open_bed(site: str, plan: BedPlan, seed: int) -> OpenedBed:
    """Open what a bed plays; beds differ although they share a seed.

    Raises
    ------
    SettingsError
        If there is no such scenario or recording, or a file cannot be read.
    """
    if plan.kind == "scenario":
        scenario = SCENARIOS.get(plan.name)
        if scenario is None:
            msg = f"{site}/{plan.bed}: expected a scenario of {', '.join(SCENARIOS)}, got {plan.name}"
            raise SettingsError(msg)
        own_seed = seed + zlib.crc32(f"{site}/{plan.bed}".encode())
        return OpenedBed(
            plan=plan,
            source=scenario_source(plan.name, seed=own_seed),
            gestational_weeks=scenario.gestational_weeks,
            is_twin=scenario.is_twin,
        )
    try:
        record = read_shipped(plan.name) if plan.kind == "recording" else read_record(Path(plan.name))
        source = Replay(record, offset_s=plan.offset_s)
    except (RecordError, ValueError) as error:
        msg = f"{site}/{plan.bed}: {error}"
        raise SettingsError(msg) from error
    return OpenedBed(
        plan=plan,
        source=source,
        gestational_weeks=record.outcome.get("Gest. weeks"),
        is_twin=record.fhr.shape[0] > 1,
    )


def _recording(bed: str, label: str, name: str, offset_min: float) -> BedPlan:
    return BedPlan(bed=bed, kind="recording", name=name, offset_s=offset_min * 60, label=label)


def _scenario(bed: str, label: str, name: str) -> BedPlan:
    return BedPlan(bed=bed, kind="scenario", name=name, label=label)


DEMO: Final = (
    SitePlan(
        site="h001",
        name="夕凪町立病院(架空)",
        beds=(
            _recording("bed1", "陣痛室1", "1139", 5),
            _recording("bed2", "陣痛室2", "1185", 20),
            _scenario("bed3", "分娩室1", "prolonged_severe"),
        ),
    ),
    SitePlan(
        site="h002",
        name="白樺台産婦人科(架空)",
        beds=(
            _recording("bed1", "LDR 1", "1273", 0),
            _scenario("bed2", "LDR 2", "minimal_with_late"),
            _recording("bed3", "LDR 3", "1017", 30),
        ),
    ),
    SitePlan(
        site="h003",
        name="汐見島診療所(架空)",
        beds=(
            _recording("bed1", "処置室", "1381", 10),
            _scenario("bed2", "NST室", "twins"),
            _recording("bed3", "分娩室", "1169", 15),
        ),
    ),
    SitePlan(
        site="h004",
        name="霧ヶ沢中央病院(架空)",
        beds=(
            _recording("bed1", "LDR 1", "1098", 0),
            _recording("bed2", "LDR 2", "1197", 25),
            _scenario("bed3", "LDR 3", "maternal_capture"),
        ),
    ),
)
"""Four invented sites with twelve beds: mostly recordings, and scenarios that soon raise alerts."""
