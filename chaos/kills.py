"""Kills and freezes of anything at any time, on bad lines; then each frame is at the centre once (R1, R2)."""

import contextlib
import heapq
import itertools
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg

from chaos.compare import Difference, compare, read_outbox
from chaos.lines import Lines
from chaos.outages import wait_for_live
from chaos.port_rules import PortFault, PortRules
from chaos.proxy import Faults, LineState
from chaos.sites import Site, open_sites
from chaos.world import HOST, ChaosError, Part, World, wait_until
from hub.store.cluster import OWNER, prepare_cluster

_log = logging.getLogger(__name__)

FREEZE_SHARE: Final = 0.2
LONGEST_DEATH_S: Final = 2.0
LINE_FAULT_S: Final = 8.0
"""On average so long until the next fault of a line."""
PORT_FAULT_S: Final = 10.0
"""On average so long until the next fault of a port in the kernel."""
LONGEST_PORT_FAULT_S: Final = 5.0
"""TCP tries again after up to as long as it was in vain: that is part of the recovery."""
RECOVERED_S: Final = 60.0
DRAIN_S: Final = 180.0
SUPERVISE_S: Final = 0.5
"""A part that ended by itself is started again after about this long, as systemd or compose would."""
MOST_ASLEEP: Final = 3
"""Parts that are dead or frozen at the same time: with all of them there would be nothing to disturb."""
TELL_EVERY: Final = 50
WEIGHTS: Final = {"agent": 4, "hub": 2, "broker": 2, "database": 2}

LINE_FAULTS: Final[Sequence[Faults]] = (
    Faults(delay_s=0.5, jitter_s=0.4),
    Faults(delay_s=2.0, jitter_s=1.0, loss=0.3, bytes_per_s=8_000),
    Faults(chop_bytes=3),
    Faults(close_s=3.0),
    Faults(state=LineState.BLACK_HOLE),
    Faults(state=LineState.HALF_OPEN),
    Faults(state=LineState.REFUSED),
)


@dataclass(slots=True)
class KillReport:
    """What a run was, and what it left."""

    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    freezes: Counter[str] = field(default_factory=Counter)
    line_faults: Counter[str] = field(default_factory=Counter)
    port_faults: Counter[str] = field(default_factory=Counter)
    no_port_faults: str = ""
    """Why there are none in the kernel, if there are none."""
    seconds: float = 0.0
    ended: Counter[str] = field(default_factory=Counter)
    """Parts that ended by themselves because of what was done to others."""
    restarted_s: float = 0.0
    """From the end of the faults until broker, hub and database answered and every agent ran."""
    drained_s: float = 0.0
    """From then until the database held every frame that had been committed by then."""
    epochs: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Frames that an agent committed and the database does not hold, or not as they were."""
        return sum(len(one.lost) + len(one.altered) for one in self.differences)

    @property
    def doubled(self) -> int:
        """Rows beyond one for each frame, and frames that no agent committed."""
        return sum(one.doubled + len(one.foreign) for one in self.differences)

    @property
    def is_clean(self) -> bool:
        """Whether every bed has the same hash at both ends."""
        return bool(self.differences) and all(one.is_same for one in self.differences)

    def lines(self) -> list[str]:
        """Tell it."""

        def counts(counter: Counter[str]) -> str:
            return ", ".join(f"{name} {count}" for name, count in sorted(counter.items())) or "none"

        return [
            f"seed                 {self.seed}",
            f"seconds              {self.seconds:,.0f}",
            f"kills                {self.kills.total():,} ({counts(self.kills)})",
            f"freezes              {self.freezes.total():,} ({counts(self.freezes)})",
            f"line faults          {self.line_faults.total():,} ({counts(self.line_faults)})",
            f"faults in the kernel {self.no_port_faults or counts(self.port_faults)}",
            f"ended by themselves  {self.ended.total():,} ({counts(self.ended)})",
            f"restarted_s          {self.restarted_s:.1f}",
            f"drained_s            {self.drained_s:.1f}",
            f"frames               {sum(one.frames for one in self.differences):,} in {self.epochs} epochs",
            f"lost                 {self.lost}",
            f"doubled              {self.doubled}",
            *(
                f"same bytes           {one.bed[0]}/{one.bed[1]} {one.site_sha256}"
                for one in self.differences
                if one.is_same
            ),
            *(f"NOT THE SAME         {one}" for one in self.differences if not one.is_same),
        ]


class Killer:
    """One run: a queue of what happens next, and who is dead or frozen now."""

    def __init__(
        self,
        world: World,
        sites: Sequence[Site],
        lines: Lines,
        rules: PortRules,
        report: KillReport,
        *,
        longest_freeze_s: float,
        longest_rest_s: float,
    ) -> None:
        self._world = world
        self._lines = lines
        self._rules = rules
        self._report = report
        self._rng = random.Random(report.seed)
        # Of its own, so that a seed draws the same kills also where the kernel lets us set no rules.
        self._port_rng = random.Random(f"{report.seed} ports")
        self._longest_freeze_s = longest_freeze_s
        self._longest_rest_s = longest_rest_s
        self._parts: dict[str, list[Part]] = {
            "agent": [site.agent for site in sites],
            "hub": [world.hub],
            "broker": [world.broker],
            "database": [world.database],
        }
        self._asleep: set[Part] = set()
        self._rests_until_s: dict[Part, float] = {}
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()

    def run(self, kills: int, *, pause_s: float) -> None:
        """Hurt until so many kills and freezes are done, then let everything go on."""
        self._after(self._rng.expovariate(1 / LINE_FAULT_S), self._hurt_line)
        self._after(SUPERVISE_S, self._supervise)
        if not self._rules.why_not:
            self._after(self._port_rng.expovariate(1 / PORT_FAULT_S), self._hurt_port)
        done = 0
        while done < kills:
            until_s = time.monotonic() + self._rng.expovariate(1 / pause_s)
            self._let_pass(until_s)
            if self._hurt_part():
                done += 1
                if done % TELL_EVERY == 0:
                    _log.info("%d of %d kills and freezes", done, kills)
        # What was planned is carried out at once: parts wake, lines become good.
        for _, _, act in sorted(self._later, key=lambda item: item[:2]):
            if act not in (self._hurt_line, self._hurt_port, self._supervise):
                act()
        for number in range(len(self._lines.proxies)):
            self._lines.set(number, Faults())

    def _after(self, delay_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._later, (time.monotonic() + delay_s, next(self._number), act))

    def _let_pass(self, until_s: float) -> None:
        while True:
            next_s = self._later[0][0] if self._later else until_s
            if next_s >= until_s:
                time.sleep(max(0.0, until_s - time.monotonic()))
                return
            time.sleep(max(0.0, next_s - time.monotonic()))
            heapq.heappop(self._later)[2]()

    # ------------------------------------------------------------------------ parts

    def _hurt_part(self) -> bool:
        kind = self._rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        part = self._rng.choice(self._parts[kind])
        is_freeze = self._rng.random() < FREEZE_SHARE
        is_resting = time.monotonic() < self._rests_until_s.get(part, 0.0)
        if is_resting or part in self._asleep or len(self._asleep) >= MOST_ASLEEP or not part.is_running:
            return False
        self._asleep.add(part)
        if is_freeze:
            with contextlib.suppress(ChaosError, ProcessLookupError):
                part.freeze()
                self._report.freezes[kind] += 1
            seconds = self._longest_freeze_s ** self._rng.random()
            self._after(seconds, lambda: self._wake(part, is_freeze=True))
        else:
            part.kill()
            self._report.kills[kind] += 1
            self._after(self._rng.uniform(0.0, LONGEST_DEATH_S), lambda: self._wake(part, is_freeze=False))
        return True

    def _wake(self, part: Part, *, is_freeze: bool) -> None:
        self._asleep.discard(part)
        if is_freeze:
            part.thaw()
        part.start()
        self._rests_until_s[part] = time.monotonic() + self._rng.uniform(0.0, self._longest_rest_s)

    def _supervise(self) -> None:
        for kind in ("agent", "hub", "broker"):
            for part in self._parts[kind]:
                if part not in self._asleep and not part.is_running:
                    self._report.ended[kind] += 1
                    part.start()
        self._after(SUPERVISE_S, self._supervise)

    # ------------------------------------------------------------------------ lines

    def _hurt_line(self) -> None:
        number = self._rng.randrange(len(self._lines.proxies))
        if self._rng.random() < 0.3:
            self._lines.reset(number)
            self._report.line_faults["reset"] += 1
        else:
            faults = self._rng.choice(LINE_FAULTS)
            self._lines.set(number, faults)
            name = faults.state.value if faults.state is not LineState.OPEN else "slow"
            self._report.line_faults[name] += 1
            self._after(self._rng.uniform(1.0, 12.0), lambda: self._lines.set(number, Faults()))
        self._after(self._rng.expovariate(1 / LINE_FAULT_S), self._hurt_line)

    # ------------------------------------------------------------------------ ports

    def _hurt_port(self) -> None:
        ports = [("line", port) for port in self._lines.ports] + [("broker", self._world.mqtt_port)]
        if (database_port := self._world.database.port()) is not None:
            ports.append(("database", database_port))
        name, port = self._port_rng.choice(ports)
        fault = self._port_rng.choice(list(PortFault))
        seconds = self._port_rng.uniform(0.5, LONGEST_PORT_FAULT_S)
        self._rules.set(port, fault)
        self._report.port_faults[f"{name} {fault.value}"] += 1
        self._after(seconds, lambda: self._rules.set(port, None))
        self._after(self._port_rng.expovariate(1 / PORT_FAULT_S), self._hurt_port)


def run_kills(
    folder: Path,
    *,
    kills: int,
    seed: int,
    sites: int = 3,
    beds: int = 2,
    pause_s: float = 1.5,
    longest_freeze_s: float = 60.0,
    longest_rest_s: float = 8.0,
) -> KillReport:
    """Kill and freeze agents, broker, hub and database so many times, and compare at the end.

    A part is left alone for up to `longest_rest_s` after it began, so that faults meet parts
    that work as well as parts that start.
    """
    report = KillReport(seed)
    begun_s = time.monotonic()
    with (
        World(folder) as world,
        Lines(world.mqtt_port, sites, seed=seed) as lines,
        PortRules() as rules,
    ):
        report.no_port_faults = f"none: {rules.why_not}" if rules.why_not else ""
        open_ = open_sites(world, [beds] * sites, broker_ports=lines.ports)
        wait_for_live(world, open_)
        killer = Killer(
            world,
            open_,
            lines,
            rules,
            report,
            longest_freeze_s=longest_freeze_s,
            longest_rest_s=longest_rest_s,
        )
        killer.run(kills, pause_s=pause_s)
        ended_s = time.monotonic()
        for part in (world.broker, world.hub, *(site.agent for site in open_)):
            part.thaw()
            part.start()
        world.database.thaw()
        wait_until("broker, hub and database", lambda: _is_ready(world, open_, report), within_s=RECOVERED_S)
        report.restarted_s = time.monotonic() - ended_s
        report.drained_s = _wait_for_drain(world, open_)
        world.end("ward")
        wait_until(
            "every frame confirmed", lambda: not any(site.unconfirmed() for site in open_), within_s=DRAIN_S
        )
        for site in open_:
            site.agent.end()
        outboxes = {site.name: site.outbox for site in open_}
        report.epochs = sum(_count_epochs(path) for path in outboxes.values())
        with world.open_database() as dsn:
            report.differences = compare(outboxes, dsn)
    report.seconds = time.monotonic() - begun_s
    return report


def _is_ready(world: World, sites: Sequence[Site], report: KillReport) -> bool:
    for part in (world.broker, world.hub, *(site.agent for site in sites)):
        if not part.is_running:
            report.ended[part.name] += 1
            part.start()
    return world.is_ready()


def _count_epochs(outbox: Path) -> int:
    return len({epoch for frames in read_outbox(outbox).values() for epoch, _ in frames})


def _wait_for_drain(world: World, sites: Sequence[Site]) -> float:
    """Wait until the database has all that is committed now; asked of the database itself."""
    wanted: dict[tuple[str, str, int], int] = {}
    for site in sites:
        for bed, frames in read_outbox(site.outbox).items():
            for epoch, seq in frames:
                key = (site.name, bed, epoch)
                wanted[key] = max(seq, wanted.get(key, -1))
    cluster = prepare_cluster(world.data_dir / "postgres")
    port = (cluster.home / "port").read_text().strip()
    dsn = f"postgresql://{OWNER}:{cluster.password(OWNER)}@{HOST}:{port}/{OWNER}"

    def holds_all() -> bool:
        try:
            with psycopg.connect(dsn, connect_timeout=3) as connection:
                rows = connection.execute(
                    "SELECT site, bed, epoch, upper(received) - 1 FROM reception"
                    " WHERE received @> int8range(0, upper(received))"
                )
                whole = {(site, bed, epoch): last for site, bed, epoch, last in rows}
        except psycopg.OperationalError:
            return False
        return all(whole.get(key, -1) >= last for key, last in wanted.items())

    return wait_until("the database to hold what was committed", holds_all, within_s=DRAIN_S)
