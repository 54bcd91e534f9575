"""What an outbox holds, read beside a running agent or after it: for `ctg-agent status`."""

import sqlite3
from pathlib import Path

from hub.errors import HubError
from site_agent.config import AgentConfig
from site_agent.salvager import SALVAGED, find_damaged, read_reports

Status = dict[str, object]


def read_status(config: AgentConfig) -> Status:
    """Read without disturbing the agent.

    Raises
    ------
    HubError
        If there is no outbox, or it cannot be read.
    """
    path = config.data_dir / "outbox.db"
    if not path.exists():
        msg = f"{path}: expected the outbox of a running or an ended agent, found none"
        raise HubError(msg)
    try:
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
        try:
            return _read(db, path)
        finally:
            db.close()
    except sqlite3.Error as error:
        msg = f"{path}: {error}"
        raise HubError(msg) from error


def _read(db: sqlite3.Connection, path: Path) -> Status:
    beds: dict[str, dict[str, int]] = {}
    for stream, bed in db.execute("SELECT id, bed FROM stream ORDER BY bed, id"):
        (held,) = db.execute("SELECT count(*) FROM frame WHERE stream = ?", [stream]).fetchone()
        (confirmed,) = db.execute(
            "SELECT count(*) FROM frame AS f JOIN confirmed AS c ON c.stream = f.stream"
            " AND f.seq BETWEEN c.first AND c.last WHERE f.stream = ?",
            [stream],
        ).fetchone()
        of_bed = beds.setdefault(bed, {"frames": 0, "not_confirmed": 0, "epochs": 0})
        of_bed["frames"] += held
        of_bed["not_confirmed"] += held - confirmed
        of_bed["epochs"] += 1
    (events,) = db.execute("SELECT count(*) FROM event WHERE done_hour IS NULL").fetchone()
    return {
        "site": db.execute("SELECT value FROM meta WHERE name = 'site'").fetchone()[0],
        "outbox": str(path),
        "bytes": sum(file.stat().st_size for file in path.parent.glob("outbox.db*")),
        "damaged": _read_salvage(db, path.parent),
        "beds": beds,
        "events_not_confirmed": events,
    }


def _read_salvage(db: sqlite3.Connection, folder: Path) -> dict[str, object]:
    """Say what was read back from each damaged outbox; null while the agent is still at it."""
    notes = db.execute("SELECT name, value FROM meta WHERE substr(name, 1, ?) = ?", [len(SALVAGED), SALVAGED])
    reports = read_reports(notes)
    return {file.name: reports.get(file.name) for file in find_damaged(folder)}
