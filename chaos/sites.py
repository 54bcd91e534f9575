"""Delivery sites for an experiment: an agent each, the monitors of its beds, the line to the broker."""

import sqlite3
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos.compare import read_outbox
from chaos.world import HOST, Part, World, free_port


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One site of the experiment."""

    name: str
    beds: tuple[str, ...]
    agent: Part
    data_dir: Path
    page_port: int

    @property
    def outbox(self) -> Path:
        """The agent's database."""
        return self.data_dir / "outbox.db"

    def committed(self) -> int:
        """Count the frames that the agent ever committed."""
        return sum(len(frames) for frames in read_outbox(self.outbox).values())

    def unconfirmed(self) -> int:
        """Count the frames of the outbox that no ack has covered yet, as the file says."""
        with sqlite3.connect(f"file:{self.outbox}?mode=ro", uri=True) as outbox:
            (frames,) = outbox.execute("SELECT count(*) FROM frame").fetchone()
            (confirmed,) = outbox.execute(
                "SELECT coalesce(sum(last - first + 1), 0) FROM confirmed"
            ).fetchone()
        outbox.close()
        return int(frames) - int(confirmed)


Prepare = Callable[[Path, str, Sequence[str]], object]
"""Called with the data folder, the site and its beds before its agent starts."""


def open_sites(
    world: World,
    counts: Sequence[int],
    *,
    broker_host: str = HOST,
    broker_ports: Sequence[int] | None = None,
    inside: Sequence[str] = (),
    prepare: Prepare | None = None,
    wrappers: Sequence[Sequence[str]] | None = None,
    prefix: str = "s",
) -> list[Site]:
    """Start one agent for each count of beds, all their monitors in one process, and return the sites.

    `broker_ports` are where each agent finds the broker, such as a proxy; the broker itself if not given.
    `inside` are words before the commands of agents and monitors alike, such as those of another network.
    `wrappers` are words before each agent's command, such as `faketime -f +5m`.
    """
    monitor_ports = [free_port() for _ in range(sum(counts))]
    world.add(
        "ward",
        (*inside, sys.executable, "-m", "chaos", "ward", "--ports", ",".join(map(str, monitor_ports))),
    )
    sites = []
    first = 0
    for number, count in enumerate(counts):
        name = f"{prefix}{number + 1:02d}"
        ports = monitor_ports[first : first + count]
        first += count
        broker = (broker_host, broker_ports[number] if broker_ports else world.mqtt_port)
        wrapper = (*inside, *(wrappers[number] if wrappers else ()))
        sites.append(_open_site(world, name, ports, broker, prepare, wrapper))
    return sites


def _open_site(
    world: World,
    name: str,
    monitor_ports: Sequence[int],
    broker: tuple[str, int],
    prepare: Prepare | None,
    wrapper: Sequence[str],
) -> Site:
    folder = world.folder / name
    folder.mkdir(parents=True, exist_ok=True)
    page_port = free_port()
    beds = tuple(f"bed{number + 1:02d}" for number in range(len(monitor_ports)))
    config = folder / "agent.toml"
    config.write_text(
        f'site = "{name}"\nname = "Site {name}"\ndata_dir = "data"\n'
        f'[broker]\nhost = "{broker[0]}"\nport = {broker[1]}\nkeepalive_s = 15\n'
        f'[page]\nhost = "{HOST}"\nport = {page_port}\n'
        + "".join(
            f'[[beds]]\nname = "{bed}"\ndriver = "series50"\nport = "tcp://{HOST}:{port}"\ntest = true\n'
            for bed, port in zip(beds, monitor_ports, strict=True)
        )
    )
    if prepare is not None:
        prepare(folder / "data", name, beds)
    # Monotonic clocks are never faked: no machine's monotonic clock steps.
    fair = {"FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    agent = world.add(
        f"agent-{name}", (*wrapper, sys.executable, "-m", "site_agent", "run", str(config)), fair
    )
    return Site(name=name, beds=beds, agent=agent, data_dir=folder / "data", page_port=page_port)
