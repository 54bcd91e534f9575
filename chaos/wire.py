"""A bad line below TCP: packets between two network namespaces, late, lost and at a low rate.

The line is one process with a TUN interface at each end: the centre's in the namespace of the
machine, the site's in one that nothing else is in.  With the process both are gone.  So each
end's own TCP feels every loss and its round-trip time, which a proxy can only model.
"""

import asyncio
import ctypes
import fcntl
import ipaddress
import json
import os
import random
import shutil
import struct
import subprocess
import sys
from collections import deque
from dataclasses import asdict, dataclass
from typing import Final, Self

from chaos.proxy import Faults
from chaos.world import ROOT, ChaosError

_TUN: Final = "/dev/net/tun"
_TUNSETIFF: Final = 0x400454CA
_IFF_TUN: Final = 0x0001
_IFF_NO_PI: Final = 0x1000
_CLONE_NEWNET: Final = 0x40000000
_NET: Final = ipaddress.ip_network("198.18.0.0/15")
"""Set aside for measuring networks (RFC 2544): nobody is there."""
MTU: Final = 1500
HELD_PACKETS: Final = 64
"""What the line holds in one direction; a packet beyond it is lost, as at any modem."""
READY: Final = "ready"


class Wire:
    """The line as an experiment holds it; `why_not` says why there can be none here."""

    def __init__(self, *, seed: int = 0) -> None:
        self.why_not = ""
        net = _NET[4 * random.randrange(_NET.num_addresses // 4)]
        self.centre, self.site = str(net + 1), str(net + 2)
        """Addresses of the two ends."""
        self._seed = seed
        self._process: subprocess.Popen[str] | None = None

    @property
    def inside(self) -> tuple[str, ...]:
        """Words before a command that is to run at the site's end."""
        if self._process is None:
            msg = f"there is no line: {self.why_not or 'not entered'}"
            raise ChaosError(msg)
        return ("nsenter", f"--net=/proc/{self._process.pid}/ns/net")

    def __enter__(self) -> Self:
        missing = [name for name in ("ip", "nsenter") if shutil.which(name) is None]
        if missing or not os.path.exists(_TUN) or os.geteuid() != 0:
            self.why_not = f"needs root, {_TUN}, ip and nsenter"
            return self
        self._process = subprocess.Popen(
            (sys.executable, "-m", "chaos", "wire", self.centre, self.site, "--seed", str(self._seed)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            start_new_session=True,  # Ctrl-C is for us, and we end it
        )
        if (said := self._read_line()) != READY:
            self.why_not = said or "the line ended at once"
            self.__exit__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.communicate(timeout=10)  # at the end of its input it goes
            self._process = None

    def set(self, faults: Faults) -> dict[str, int]:
        """Change the line (delay, jitter, rate and loss); give what it has carried so far."""
        if self._process is None or self._process.stdin is None:
            msg = f"there is no line: {self.why_not or 'not entered'}"
            raise ChaosError(msg)
        self._process.stdin.write(json.dumps(asdict(faults)) + "\n")
        self._process.stdin.flush()
        counts: dict[str, int] = json.loads(self._read_line())
        return counts

    def _read_line(self) -> str:
        if self._process is None or self._process.stdout is None:
            return ""
        return self._process.stdout.readline().strip()


@dataclass(slots=True)
class WireCounts:
    """Packets, both directions together."""

    carried: int = 0
    lost: int = 0
    overflowed: int = 0
    carried_bytes: int = 0


class _Direction:
    """From one end to the other: read, perhaps lost, late, in the order in which they came."""

    def __init__(self, source: int, target: int, rng: random.Random, counts: WireCounts) -> None:
        self.faults = Faults()
        self._source, self._target = source, target
        self._rng = rng
        self._counts = counts
        self._held: deque[bytes] = deque()
        self._idle_s = self._due_s = 0.0
        asyncio.get_running_loop().add_reader(source, self._read)

    def _read(self) -> None:
        packet = os.read(self._source, MTU + 100)
        loop, faults = asyncio.get_running_loop(), self.faults
        if len(self._held) >= HELD_PACKETS:
            self._counts.overflowed += 1
            return
        if faults.bytes_per_s is not None:
            self._idle_s = max(loop.time(), self._idle_s) + len(packet) / faults.bytes_per_s
        if self._rng.random() < faults.loss:
            self._counts.lost += 1
            return
        late_s = max(0.0, faults.delay_s + self._rng.uniform(-faults.jitter_s, faults.jitter_s))
        self._due_s = max(self._due_s, max(loop.time(), self._idle_s) + late_s)
        self._held.append(packet)
        loop.call_at(self._due_s, self._write)

    def _write(self) -> None:
        packet = self._held.popleft()
        os.write(self._target, packet)
        self._counts.carried += 1
        self._counts.carried_bytes += len(packet)


def be_wire(centre: str, site: str, *, seed: int) -> None:
    """Be the line: open both ends, say `ready`, take faults as lines of JSON until there are no more."""
    name = f"ctg{os.getpid()}"
    try:
        far = _open_end(name, centre, site)
        _enter_own_network()
        near = _open_end(name, site, centre)
        subprocess.run(("ip", "link", "set", "lo", "up"), check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        _say(f"no line below TCP can be made: {error}")
        return
    asyncio.run(_carry(near, far, seed))


async def _carry(near: int, far: int, seed: int) -> None:
    counts = WireCounts()
    directions = [
        _Direction(near, far, random.Random(f"{seed} up"), counts),
        _Direction(far, near, random.Random(f"{seed} down"), counts),
    ]
    orders = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    _say(READY)
    while line := await orders.readline():
        faults = Faults(**json.loads(line))
        for direction in directions:
            direction.faults = faults
        _say(json.dumps(asdict(counts)))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _enter_own_network() -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "a network namespace of its own: not permitted")


def _open_end(name: str, own: str, other: str) -> int:
    descriptor = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    subprocess.run(("ip", "addr", "add", own, "peer", other, "dev", name), check=True)
    subprocess.run(("ip", "link", "set", name, "up", "mtu", str(MTU)), check=True)
    return descriptor
