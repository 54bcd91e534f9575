"""Events, alerts and classifications are recorded once and come back as they were."""

from dataclasses import replace
from typing import Any

import psycopg
import pytest

from hub.model import (
    AckReason,
    Alert,
    AlertPath,
    AlertState,
    AlertTransition,
    BedEvent,
    Classification,
    EventKind,
    Indeterminate,
    Priority,
    Reason,
)
from hub.pipeline import StoredSegment
from hub.store.store import Store

T_MS = 1_780_000_000_000
BED = ("h012", "bed1")


def _event(number: int, text: str | None = None) -> BedEvent:
    return BedEvent(
        id=f"01J{number:023d}", kind=EventKind.NOTE, t_ms=T_MS + number, text=text, values={"sys": 121.5}
    )


def _alert(number: int = 1, site: str = "h012", bed: str = "bed1") -> Alert:
    return Alert(
        id=f"{site}.{bed}.1.fhr_below_110.{T_MS + number}",
        site=site,
        bed=bed,
        fetus=1,
        rule="fhr_below_110",
        path=AlertPath.RAW_RATE,
        priority=Priority.HIGH,
        state=AlertState.ACTIVE,
        is_present=True,
        onset_ms=T_MS + number,
        raised_ms=T_MS + number,
        changed_ms=T_MS + number,
        values={"value_bpm": 98.0, "limit_bpm": 110.0, "why": "継続"},
    )


def _raised(alert: Alert) -> AlertTransition:
    return AlertTransition(
        alert=alert,
        from_state=AlertState.CLEAR,
        to_state=AlertState.ACTIVE,
        cause="onset",
        t_ms=alert.raised_ms,
    )


def _acknowledged(alert: Alert, t_ms: int) -> AlertTransition:
    moved = replace(
        alert,
        state=AlertState.ACKNOWLEDGED,
        changed_ms=t_ms,
        acknowledged_by="K.M.",
        acknowledged_ms=t_ms,
        ack_reason=AckReason.WATCHING,
    )
    return AlertTransition(
        alert=moved,
        from_state=AlertState.ACTIVE,
        to_state=AlertState.ACKNOWLEDGED,
        cause="acknowledged",
        t_ms=t_ms,
        by="K.M.",
    )


def _cleared(alert: Alert, t_ms: int) -> AlertTransition:
    moved = replace(alert, state=AlertState.CLEAR, is_present=False, changed_ms=t_ms)
    return AlertTransition(
        alert=moved, from_state=alert.state, to_state=AlertState.CLEAR, cause="resolved", t_ms=t_ms
    )


READING = Classification(
    start_s=600.0,
    end_s=1200.0,
    level=3,
    cell="3.2",
    baseline_bpm=140.0,
    valid_fraction=0.93,
    reasons=(Reason(code="baseline", start_s=600.0, end_s=1200.0, values={"baseline_bpm": 140.0}),),
)


def _segment(reading: Classification, *, fetus: int = 1, algorithm: str = "jsog/1") -> StoredSegment:
    site, bed = BED
    return StoredSegment(
        site=site, bed=bed, fetus=fetus, origin_ms=T_MS, classification=reading, algorithm=algorithm
    )


# ----------------------------------------------------------------------- events


async def test_an_event_is_recorded_once_by_its_id(store: Store) -> None:
    await store.append_events(*BED, [_event(1, "陣痛発来"), _event(2)])
    await store.append_events(*BED, [_event(1, "陣痛発来"), _event(1, "changed later")])
    assert await store.read_events(*BED, T_MS, T_MS + 10) == [_event(1, "陣痛発来"), _event(2)]


async def test_one_site_cannot_take_anothers_event_id(store: Store) -> None:
    await store.append_events("h013", "bed1", [_event(1, "theirs")])
    await store.append_events(*BED, [_event(1, "ours")])
    assert await store.read_events(*BED, T_MS, T_MS + 10) == [_event(1, "ours")]


async def test_events_are_read_by_span(store: Store) -> None:
    await store.append_events(*BED, [_event(3), _event(1), _event(2)])
    assert await store.read_events(*BED, T_MS + 1, T_MS + 3) == [_event(1), _event(2)]


async def test_a_text_with_a_nul_character_does_not_stop_the_store(store: Store) -> None:
    await store.append_events(*BED, [_event(1, "a\x00b\\u0000c")])
    (event,) = await store.read_events(*BED, T_MS, T_MS + 10)
    assert event.text is not None
    assert (event.text[0], event.text[-1]) == ("a", "c")


@pytest.mark.parametrize(
    "odd",
    [{"id": "a\0b"}, {"id": "x" * 60_000}, {"t_ms": 10**25}, {"t_ms": -(10**25)}, {"values": {"\0": 1e308}}],
)
async def test_an_event_of_any_form_is_kept_and_holds_up_no_other(
    store: Store, postgres_dsn: str, odd: dict[str, Any]
) -> None:
    strange = replace(_event(1), **odd)
    for _ in range(2):
        await store.append_events(*BED, [strange, _event(2)])
    assert _event(2) in await store.read_events(*BED, T_MS, T_MS + 10)
    with psycopg.connect(postgres_dsn) as connection:
        assert connection.execute("SELECT count(*) FROM bed_event").fetchone() == (2,)


@pytest.mark.parametrize("broken", ["""jsonb_set(event, '{kind}', event->'text')""", "event - 't_ms'"])
async def test_what_a_record_says_never_reaches_the_log(
    store: Store, postgres_dsn: str, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    await store.append_events(*BED, [_event(1, "架空花子 0312345678"), _event(2)])
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(f"UPDATE bed_event SET event = {broken} WHERE t_ms = {T_MS + 1}".encode())
    assert await store.read_events(*BED, T_MS, T_MS + 10) == [_event(2)]
    assert f"stored BedEvent h012/bed1 at {T_MS + 1} left out" in caplog.text
    assert "花子" not in caplog.text
    assert "0312345678" not in caplog.text
    assert "Traceback" not in caplog.text


# ----------------------------------------------------------------------- alerts


async def test_an_alert_stands_as_last_moved_though_the_hubs_clock_was_set_back(store: Store) -> None:
    alert = _alert()
    raised, seen = _raised(alert), _acknowledged(alert, T_MS - 5000)
    await store.save_transitions([raised])
    await store.save_transitions([seen])
    await store.save_transitions([raised, seen])  # once more, as after a broken connection
    assert await store.read_open_alerts() == [seen.alert]
    await store.save_transitions([_cleared(seen.alert, T_MS - 6000)])
    await store.save_transitions([raised])
    assert await store.read_open_alerts() == []


async def test_an_open_alert_survives_and_a_cleared_one_is_history(store: Store) -> None:
    first, second = _alert(1), _alert(2, bed="bed2")
    await store.save_transitions([_raised(first), _raised(second)])
    step = _acknowledged(first, T_MS + 5000)
    await store.save_transitions([step, _cleared(second, T_MS + 6000)])
    assert await store.read_open_alerts() == [step.alert]
    assert [alert.id for alert in await store.read_alerts()] == [second.id, first.id]
    assert await store.read_transitions(first.id) == [_raised(first), step]


async def test_a_name_with_a_nul_character_does_not_stop_the_store(store: Store) -> None:
    step = _acknowledged(_alert(), T_MS + 5000)
    await store.save_transitions(
        [replace(step, by="K\0M", alert=replace(step.alert, acknowledged_by="K\0M"))]
    )
    (known,) = await store.read_transitions(_alert().id)
    assert (known.by, known.alert.acknowledged_by) == ("K\ufffdM", "K\ufffdM")


async def test_steps_sent_again_change_nothing(store: Store) -> None:
    steps = [_raised(_alert()), _acknowledged(_alert(), T_MS + 5000)]
    for _ in range(3):
        await store.save_transitions(steps)
    assert await store.read_transitions(_alert().id) == steps
    assert await store.read_open_alerts() == [steps[1].alert]


async def test_alerts_are_found_by_bed_and_time(store: Store) -> None:
    alerts = [_alert(1), _alert(2, bed="bed2"), _alert(3, site="h013")]
    await store.save_transitions([_raised(alert) for alert in alerts])
    assert await store.read_alerts(site="h012") == [alerts[1], alerts[0]]
    assert await store.read_alerts(site="h012", bed="bed2") == [alerts[1]]
    assert await store.read_alerts(since_ms=T_MS + 2) == [alerts[2], alerts[1]]
    assert await store.read_alerts(limit=1) == [alerts[2]]


@pytest.mark.parametrize("change", ["UPDATE alert_transition SET by = 'X'", "DELETE FROM alert_transition"])
async def test_what_happened_to_an_alert_cannot_be_rewritten(
    store: Store, postgres_dsn: str, change: str
) -> None:
    await store.save_transitions([_raised(_alert())])
    with (
        psycopg.connect(postgres_dsn, autocommit=True) as connection,
        pytest.raises(psycopg.errors.RaiseException, match="written once"),
    ):
        connection.execute(change.encode())


# --------------------------------------------------------------- classifications


async def test_a_reading_comes_back_as_it_was(store: Store) -> None:
    rolling = replace(READING, start_s=660.0, end_s=1260.0, is_rolling=True, level=None)
    rolling = replace(rolling, indeterminate=Indeterminate.LONG_GAP)
    await store.save_classifications([_segment(READING), _segment(rolling)])
    found = await store.read_classifications(*BED, T_MS, T_MS + 10_000_000)
    assert [(one.classification, one.revision) for one in found] == [(READING, 0), (rolling, 0)]
    assert {(one.fetus, one.origin_ms, one.algorithm) for one in found} == {(1, T_MS, "jsog/1")}


async def test_the_same_reading_again_is_no_revision(store: Store) -> None:
    for _ in range(3):
        await store.save_classifications([_segment(READING)])
    (one,) = await store.read_classifications(*BED, T_MS, T_MS + 10_000_000)
    assert one.revision == 0


async def test_another_reading_of_the_same_window_is_a_revision_and_the_former_stays(
    store: Store, postgres_dsn: str
) -> None:
    for level in (3, 4, 3):
        await store.save_classifications([_segment(replace(READING, level=level))])
    (one,) = await store.read_classifications(*BED, T_MS, T_MS + 10_000_000)
    assert (one.revision, one.classification.level) == (2, 3)
    with psycopg.connect(postgres_dsn) as connection:
        kept = connection.execute("SELECT level FROM classification ORDER BY revision").fetchall()
    assert kept == [(3,), (4,), (3,)]


async def test_readings_of_many_beds_in_one_transaction_written_twice_stand_once(store: Store) -> None:
    segments = [replace(_segment(READING), bed=f"bed{number}") for number in range(50)]
    for _ in range(2):  # a second time, as when the connection broke before the answer
        await store.save_classifications(segments)
    for one in segments:
        (found,) = await store.read_classifications(one.site, one.bed, T_MS, T_MS + 10_000_000)
        assert (found.revision, found.classification) == (0, READING)


async def test_fetuses_and_algorithms_are_kept_apart(store: Store) -> None:
    await store.save_classifications([_segment(READING)])
    await store.save_classifications([_segment(READING, fetus=2)])
    await store.save_classifications([_segment(READING, algorithm="jsog/2")])
    assert len(await store.read_classifications(*BED, T_MS, T_MS + 10_000_000)) == 3
    assert await store.read_classifications(*BED, T_MS + 1_200_000, T_MS + 10_000_000) == []


async def test_a_record_in_another_form_does_not_hide_the_others(
    store: Store, postgres_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    await store.save_transitions([_raised(_alert(1)), _raised(_alert(2))])
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute("UPDATE alert SET alert = alert - 'priority' WHERE id = %s", [_alert(1).id])
    assert await store.read_open_alerts() == [_alert(2)]
    assert f"stored Alert {_alert(1).id} left out, it does not fit: Object missing" in caplog.text
