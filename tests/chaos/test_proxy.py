"""The bad line is bad in the way that was asked for, and loses, doubles or reorders no byte by itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from chaos.proxy import FaultProxy, Faults, LineState


@pytest.fixture
async def line() -> AsyncIterator[FaultProxy]:
    """A line to a server that sends back what it gets."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        proxy = FaultProxy(server.sockets[0].getsockname()[1], seed=1)
        await proxy.start()
        yield proxy
        await proxy.stop()


class Caller:
    """The near end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def exchange(self, data: bytes) -> tuple[bytes, float]:
        """Send, read as much back, and say how long it took."""
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        self.writer.write(data)
        back = await asyncio.wait_for(self.reader.readexactly(len(data)), 10)
        return back, loop.time() - begun_s

    async def is_silent(self, data: bytes = b"x", seconds: float = 0.3) -> bool:
        self.writer.write(data)
        try:
            await asyncio.wait_for(self.reader.read(1), seconds)
        except TimeoutError:
            return True
        return False


@contextlib.asynccontextmanager
async def calling(line: FaultProxy) -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
    try:
        yield Caller(reader, writer)
    finally:
        writer.transport.abort()


async def test_without_faults_every_byte_comes_back_at_once(line: FaultProxy):
    data = bytes(range(256)) * 4000
    async with calling(line) as caller:
        back, _ = await caller.exchange(data)
        assert back == data
        assert (await caller.exchange(b"!"))[1] < 0.2


async def test_delay_jitter_loss_and_chopping_change_the_time_and_no_byte(line: FaultProxy):
    await line.set(Faults(delay_s=0.05, jitter_s=0.05, loss=0.1, chop_bytes=7))
    data = bytes(range(256)) * 2
    async with calling(line) as caller:
        back, took_s = await caller.exchange(data)
    assert back == data
    assert took_s >= 0.05


async def test_a_thin_line_takes_its_time(line: FaultProxy):
    await line.set(Faults(bytes_per_s=8000, chop_bytes=500))
    async with calling(line) as caller:
        back, took_s = await caller.exchange(b"x" * 4000)
    assert back == b"x" * 4000
    assert 0.4 <= took_s < 3


async def test_a_black_hole_holds_everything_and_gives_it_back_when_the_line_opens(line: FaultProxy):
    async with calling(line) as caller:
        await caller.exchange(b"a")
        await line.set(Faults(state=LineState.BLACK_HOLE))
        assert await caller.is_silent(b"b")
        async with calling(line) as newcomer:  # a connection is made, and no more
            assert await newcomer.is_silent(b"c")
            await line.set(Faults())
            assert await asyncio.wait_for(newcomer.reader.readexactly(1), 5) == b"c"
        assert await asyncio.wait_for(caller.reader.readexactly(1), 5) == b"b"


async def test_of_a_half_open_line_the_near_end_is_never_told(line: FaultProxy):
    async with calling(line) as caller:
        await caller.exchange(b"a")
        await line.set(Faults(state=LineState.HALF_OPEN))
        assert await caller.is_silent(b"b")
        await line.set(Faults())
        assert await caller.is_silent(b"c")  # this connection is gone for good
        async with calling(line) as newcomer:
            assert (await newcomer.exchange(b"d"))[0] == b"d"


async def test_a_reset_is_felt_at_once_and_the_next_connection_carries(line: FaultProxy):
    async with calling(line) as caller:
        await caller.exchange(b"a")
        line.reset()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(caller.reader.readexactly(1), 5)
    async with calling(line) as caller:
        assert (await caller.exchange(b"b"))[0] == b"b"
    assert line.counts.resets == 1


async def test_a_refused_line_has_no_listener_until_it_opens_again(line: FaultProxy):
    await line.set(Faults(state=LineState.REFUSED))
    with pytest.raises(OSError, match=r"[Cc]onnect"):
        await asyncio.open_connection("127.0.0.1", line.port)
    await line.set(Faults())
    async with calling(line) as caller:
        assert (await caller.exchange(b"a"))[0] == b"a"


async def test_a_slow_close_is_told_late(line: FaultProxy):
    await line.set(Faults(close_s=0.4))
    async with calling(line) as caller:
        await caller.exchange(b"a")
        begun_s = asyncio.get_running_loop().time()
        caller.writer.write_eof()
        assert await asyncio.wait_for(caller.reader.read(1), 5) == b""
        assert asyncio.get_running_loop().time() - begun_s >= 0.4


async def test_a_reader_that_does_not_read_stops_the_sender_in_time(line: FaultProxy):
    async with calling(line) as caller:
        taken = 0
        with contextlib.suppress(TimeoutError):
            while taken < 2000:
                caller.writer.write(b"x" * 16384)
                await asyncio.wait_for(caller.writer.drain(), 0.3)
                taken += 1
        assert taken < 2000
