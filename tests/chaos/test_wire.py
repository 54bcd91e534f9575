"""The line below TCP loses and delays packets, no byte of what TCP carries, and leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from chaos.proxy import Faults
from chaos.wire import Wire
from chaos.world import wait_until

CALLER = """
import socket, sys, time
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=60) as centre:
    begun_s = time.monotonic()
    for number in range(int(sys.argv[3])):
        centre.sendall(bytes([number]))
        assert centre.recv(1) == bytes([number])
    print(time.monotonic() - begun_s)
"""


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    """A good line; without leave to make one there is nothing to test."""
    with Wire(seed=1) as wire:
        if wire.why_not:
            pytest.skip(wire.why_not)
        yield wire


def call(wire: Wire, times: int) -> float:
    """Call from the site's end a server at the centre's that sends all back; give the seconds it took."""
    with socket.create_server((wire.centre, 0)) as server:
        port = server.getsockname()[1]

        def echo() -> None:
            accepted, _ = server.accept()
            with accepted:
                while data := accepted.recv(100):
                    accepted.sendall(data)

        echoing = threading.Thread(target=echo)
        echoing.start()
        words = (*wire.inside, sys.executable, "-c", CALLER, wire.centre, str(port), str(times))
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        echoing.join(10)
    return float(said)


def test_a_good_line_carries_at_once_and_a_slow_one_takes_its_delay_both_ways(wire: Wire):
    wire.set(Faults())
    assert call(wire, 3) < 1.0
    wire.set(Faults(delay_s=0.2))
    assert 3 * 0.4 <= call(wire, 3) < 6.0


def test_lost_packets_are_sent_again_by_tcp_itself(wire: Wire):
    wire.set(Faults(loss=0.3))
    call(wire, 20)
    assert wire.set(Faults())["lost"] > 5


def test_a_thin_line_takes_its_time(wire: Wire):
    wire.set(Faults(bytes_per_s=1000))
    assert call(wire, 10) > 10 * 2 * 53 / 1000  # a byte of TCP is 53 bytes of the line, there and back


def test_both_ends_go_with_the_process_even_if_it_is_killed(wire: Wire):
    """The last of this module: it takes the line away."""
    name = f"ctg{wire.inside[1].split('/')[2]}"
    assert name in list_interfaces()
    os.kill(int(name.removeprefix("ctg")), signal.SIGKILL)
    wait_until("the interface to go", lambda: name not in list_interfaces(), within_s=5)


def list_interfaces() -> list[str]:
    return [name for _, name in socket.if_nameindex()]
