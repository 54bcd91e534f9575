"""Rules in the kernel hurt the port that was named, no other one, and never outlive the experiment."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from chaos.port_rules import PortFault, PortRules
from chaos.world import wait_until

HOST = "127.0.0.1"


@pytest.fixture
def rules() -> Iterator[PortRules]:
    """Rules of our own; without leave to set any there is nothing to test."""
    with PortRules() as rules:
        if rules.why_not:
            pytest.skip(rules.why_not)
        yield rules


@contextlib.asynccontextmanager
async def echoing() -> AsyncIterator[int]:
    """A server that sends back what it gets; gives its port."""

    handling: set[asyncio.Task[None]] = set()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):  # cancelled below, awaited there
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handling.add(asyncio.create_task(echo(reader, writer)))

    async with await asyncio.start_server(accept, HOST, 0) as server:
        yield int(server.sockets[0].getsockname()[1])
        for task in handling:  # some never hear that the other end has gone
            task.cancel()
        await asyncio.gather(*handling)


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, within_s: float) -> bytes:
    writer.write(b"x")
    async with asyncio.timeout(within_s):
        return await reader.readexactly(1)


async def test_dropped_packets_arrive_once_the_port_is_whole_again(rules: PortRules):
    async with echoing() as port, echoing() as other_port:
        near = await asyncio.open_connection(HOST, port)
        other = await asyncio.open_connection(HOST, other_port)
        rules.set(port, PortFault.DROP)
        with pytest.raises(TimeoutError):
            await exchange(*near, within_s=0.3)
        assert await exchange(*other, within_s=5) == b"x", "another port is not touched"
        rules.set(port, None)
        async with asyncio.timeout(5):
            assert await near[0].readexactly(1) == b"x"
        near[1].close()
        other[1].close()


async def test_a_rejecting_port_resets_who_is_connected_and_refuses_who_calls(rules: PortRules):
    async with echoing() as port:
        near = await asyncio.open_connection(HOST, port)
        rules.set(port, PortFault.REJECT)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await exchange(*near, within_s=5)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HOST, port)
        near[1].close()


async def test_random_loss_slows_a_connection_and_loses_none_of_its_bytes(rules: PortRules):
    async with echoing() as port:
        near = await asyncio.open_connection(HOST, port)
        rules.set(port, PortFault.LOSS)
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        for _ in range(16):  # all 32 pieces get through at once in one of 100,000 runs
            assert await exchange(*near, within_s=20) == b"x"
        assert loop.time() - begun_s > 0.2, "at least one packet was sent again"
        near[1].close()


def test_the_rules_go_with_the_process_that_made_them_even_if_it_is_killed(rules: PortRules):
    code = (
        "import time\nfrom chaos.port_rules import PortFault, PortRules\n"
        "with PortRules() as rules:\n"
        "    rules.set(9, PortFault.LOSS)\n    print('set', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen((sys.executable, "-c", code), stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "set\n"
        assert f"ctg_chaos_{owner.pid}" in list_tables()
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait(5)
    wait_until("the table to go", lambda: f"ctg_chaos_{owner.pid}" not in list_tables(), within_s=5)


def list_tables() -> str:
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
    return subprocess.run(
        ("nft", "list", "tables"), capture_output=True, text=True, check=True, env={"PATH": path}
    ).stdout
