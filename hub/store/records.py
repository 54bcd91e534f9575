"""What is recorded beside the waves: bed events, alerts with their transitions, classifications."""

import hashlib
import logging
from collections.abc import Sequence
from typing import Final, LiteralString, TypeVar

import msgspec

from hub.model import Alert, AlertTransition, BedEvent, Classification
from hub.pipeline import StoredSegment
from hub.store.rows import StoredClassification
from hub.store.session import Connection

_log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_ID_BYTES: Final = 200
_LARGEST_TIME: Final = 2**63 - 1

# A step that was written before a connection broke changes nothing more: what came after it stands.
# Not by time: the hub's clock may be set back between two steps.
_SAVE_TRANSITION: Final[LiteralString] = """
WITH step AS (
    INSERT INTO alert_transition (alert_id, t_ms, from_state, to_state, cause, by, alert)
    VALUES (%(id)s, %(t_ms)s, %(from_state)s, %(to_state)s, %(cause)s, %(by)s, %(body)s)
    ON CONFLICT DO NOTHING RETURNING alert_id
)
INSERT INTO alert (id, site, bed, rule, state, raised_ms, changed_ms, alert)
SELECT alert_id, %(site)s, %(bed)s, %(rule)s, %(state)s, %(raised_ms)s, %(changed_ms)s, %(body)s FROM step
ON CONFLICT (id) DO UPDATE
SET state = excluded.state, raised_ms = excluded.raised_ms, changed_ms = excluded.changed_ms,
    alert = excluded.alert
"""
_SAVE_CLASSIFICATION: Final[LiteralString] = """
INSERT INTO classification
    (site, bed, fetus, algorithm, start_ms, end_ms, is_rolling, revision, origin_ms, level, classification)
SELECT %(site)s, %(bed)s, %(fetus)s, %(algorithm)s, %(start_ms)s, %(end_ms)s, %(is_rolling)s,
       coalesce(max(revision) + 1, 0), %(origin_ms)s, %(level)s, %(body)s::jsonb
FROM classification
WHERE (site, bed, fetus, algorithm, start_ms, end_ms, is_rolling)
    = (%(site)s, %(bed)s, %(fetus)s, %(algorithm)s, %(start_ms)s, %(end_ms)s, %(is_rolling)s)
HAVING (array_agg(classification ORDER BY revision DESC))[1] IS DISTINCT FROM %(body)s::jsonb
    OR (array_agg(origin_ms ORDER BY revision DESC))[1] <> %(origin_ms)s
"""


async def write_events(connection: Connection, site: str, bed: str, events: Sequence[BedEvent]) -> None:
    """Record events; one whose id is known is left as it stands."""
    await connection.cursor().executemany(
        "INSERT INTO bed_event (site, bed, id, kind, t_ms, event) VALUES (%s, %s, %s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        [
            (site, bed, _event_key(event.id), event.kind, _bounded(event.t_ms), _to_json(event))
            for event in events
        ],
    )


async def read_events(
    connection: Connection, site: str, bed: str, from_ms: int, to_ms: int
) -> list[BedEvent]:
    """Events of a bed in [from_ms, to_ms), by time."""
    cursor = await connection.execute(
        "SELECT format('%%s/%%s at %%s', site, bed, t_ms), event::text FROM bed_event"
        " WHERE site = %s AND bed = %s AND t_ms >= %s AND t_ms < %s ORDER BY t_ms, id",
        [site, bed, from_ms, to_ms],
    )
    return _from_json(await cursor.fetchall(), BedEvent)


async def write_transitions(connection: Connection, transitions: Sequence[AlertTransition]) -> None:
    """Record transitions in their order, and where each alert stands after the newest."""
    await connection.cursor().executemany(
        _SAVE_TRANSITION,
        [
            {
                "id": step.alert.id,
                "t_ms": step.t_ms,
                "from_state": step.from_state,
                "to_state": step.to_state,
                "cause": step.cause,
                "by": _plain(step.by),
                "body": _to_json(step.alert),
                "site": step.alert.site,
                "bed": step.alert.bed,
                "rule": step.alert.rule,
                "state": step.alert.state,
                "raised_ms": step.alert.raised_ms,
                "changed_ms": step.alert.changed_ms,
            }
            for step in transitions
        ],
    )


async def read_open_alerts(connection: Connection) -> list[Alert]:
    """Alerts that are not clear, in the order in which they were raised."""
    cursor = await connection.execute(
        "SELECT id, alert::text FROM alert WHERE state <> 'clear' ORDER BY raised_ms, id"
    )
    return _from_json(await cursor.fetchall(), Alert)


async def read_alerts(
    connection: Connection, site: str | None, bed: str | None, since_ms: int | None, limit: int
) -> list[Alert]:
    """Alerts as they stand, the one that changed last first."""
    cursor = await connection.execute(
        "SELECT id, alert::text FROM alert WHERE (%(site)s::text IS NULL OR site = %(site)s)"
        " AND (%(bed)s::text IS NULL OR bed = %(bed)s)"
        " AND (%(since_ms)s::bigint IS NULL OR changed_ms >= %(since_ms)s)"
        " ORDER BY changed_ms DESC, id LIMIT %(limit)s",
        {"site": site, "bed": bed, "since_ms": since_ms, "limit": limit},
    )
    return _from_json(await cursor.fetchall(), Alert)


async def read_transitions(connection: Connection, alert_id: str) -> list[AlertTransition]:
    """All that happened to one alert, in order."""
    cursor = await connection.execute(
        "SELECT number::text, jsonb_build_object('alert', alert, 'from_state', from_state,"
        " 'to_state', to_state, 'cause', cause, 't_ms', t_ms, 'by', by)::text"
        " FROM alert_transition WHERE alert_id = %s ORDER BY number",
        [alert_id],
    )
    return _from_json(await cursor.fetchall(), AlertTransition)


async def write_classifications(connection: Connection, segments: Sequence[StoredSegment]) -> None:
    """Record readings in their order; one that differs from what stands for its window is a new revision."""
    await connection.cursor().executemany(
        _SAVE_CLASSIFICATION,
        [
            {
                "site": one.site,
                "bed": one.bed,
                "fetus": one.fetus,
                "algorithm": one.algorithm,
                "start_ms": one.origin_ms + round(one.classification.start_s * 1000),
                "end_ms": one.origin_ms + round(one.classification.end_s * 1000),
                "is_rolling": one.classification.is_rolling,
                "origin_ms": one.origin_ms,
                "level": one.classification.level,
                "body": _to_json(one.classification),
            }
            for one in segments
        ],
    )


async def read_classifications(
    connection: Connection, site: str, bed: str, from_ms: int, to_ms: int
) -> list[StoredClassification]:
    """Newest revision of each window that reaches into [from_ms, to_ms), by time."""
    cursor = await connection.execute(
        "SELECT fetus, origin_ms, algorithm, revision, classification::text FROM ("
        " SELECT DISTINCT ON (fetus, algorithm, start_ms, end_ms, is_rolling) * FROM classification"
        " WHERE site = %s AND bed = %s AND end_ms > %s AND start_ms < %s"
        " ORDER BY fetus, algorithm, start_ms, end_ms, is_rolling, revision DESC) AS newest"
        " ORDER BY end_ms, start_ms, fetus, algorithm, is_rolling",
        [site, bed, from_ms, to_ms],
    )
    return [
        StoredClassification(fetus, origin_ms, algorithm, revision, reading)
        for fetus, origin_ms, algorithm, revision, body in await cursor.fetchall()
        for reading in _from_json([(f"{site}/{bed} from {origin_ms}", body)], Classification)
    ]


def _to_json(value: object) -> str:
    # PostgreSQL's jsonb has no NUL character; a site may send one in a text.
    return msgspec.json.encode(value).decode().replace("\\u0000", "\\ufffd")


def _plain(text: str | None) -> str | None:
    return None if text is None else text.replace("\0", "\ufffd")


def _event_key(event_id: str) -> str:
    """Give the id, or, where a site sends one that no index can hold, a name for it."""
    if len(event_id.encode()) <= MAX_ID_BYTES and "\0" not in event_id:
        return event_id
    return "sha256:" + hashlib.sha256(event_id.encode()).hexdigest()


def _bounded(t_ms: int) -> int:
    """Give a time that fits the column; the record itself keeps what the site said."""
    return max(-_LARGEST_TIME, min(t_ms, _LARGEST_TIME))


def _from_json(rows: Sequence[tuple[str, str]], kind: type[T]) -> list[T]:
    """Decode (which, body); a record that cannot be is left out and named, without a word of its content."""
    values = []
    for which, body in rows:
        try:
            values.append(msgspec.json.decode(body, type=kind))
        except msgspec.ValidationError as error:
            # One record that an older hub wrote in another form must not hide all the others.  Of the
            # complaint only the place is logged: the rest may quote a text, and so a patient.
            complaint = str(error).rpartition(" - at ")[2]
            _log.error("stored %s %s left out, it does not fit: %s", kind.__name__, which, complaint)
    return values
