"""Ports on real sockets, folders and recordings."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from hub.errors import SettingsError
from hub.stages import Clock
from site_agent.drivers.bundle import decode_bundle, encode_answer
from site_agent.drivers.line import LineSettings
from site_agent.folder import FolderPort
from site_agent.port import INBOX_BYTES
from site_agent.ports import Port, PortState, Received, Turn, open_port
from site_agent.raw_log import RawLog

CLOCK = Clock()


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def opened(spec: str) -> AsyncIterator[Port]:
    async with asyncio.timeout(20), open_port(spec, clock=CLOCK) as port:
        yield port


async def wait_for(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not is_so():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.01)


async def connect(number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", number)
            await asyncio.sleep(0.02)


async def test_devices_that_connect_to_one_port_are_told_apart_and_answered_each() -> None:
    number = free_port()
    async with opened(f"tcp-listen:127.0.0.1:{number}") as port:
        lines = [await connect(number) for _ in range(2)]
        news = [await anext(port) for _ in range(2)]
        assert [n.turn for n in news] == [Turn.OPENED] * 2
        assert port.connections == (news[0].connection, news[1].connection)
        for (_, writer), text in zip(lines, (b"first", b"second"), strict=True):
            writer.write(text)
            received = await anext(port)
            assert received.data == text
            await port.write(b"to " + text, received.connection)
        assert [await reader.readexactly(n) for (reader, _), n in zip(lines, (8, 9), strict=True)] == [
            b"to first",
            b"to second",
        ]
        for _, writer in lines:
            writer.close()
        closed = [await anext(port) for _ in range(2)]
        assert {c.connection for c in closed if c.turn is Turn.CLOSED} == {n.connection for n in news}
        assert port.state is PortState.CLOSED
        await port.write(b"nobody hears this")


async def test_a_device_that_hangs_up_is_called_again_for_ever() -> None:
    greetings = iter((b"one", b"two", b"three"))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(next(greetings, b"more"))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        heard: list[bytes] = []
        async with opened(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}") as port:
            async for received in port:
                heard += [received.data] if received.turn is Turn.DATA else []
                if len(heard) == 3:
                    break
        assert heard == [b"one", b"two", b"three"]


async def test_a_device_that_is_not_there_is_said_and_found_when_it_comes() -> None:
    number = free_port()
    async with opened(f"tcp://127.0.0.1:{number}") as port:
        await wait_for(lambda: "cannot be opened" in port.why)
        assert port.state is PortState.CLOSED
        assert port.silence_s is None
        async with await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", number):
            assert (await anext(port)).turn is Turn.OPENED


async def test_a_serial_line_that_is_not_there_is_said(tmp_path: Path) -> None:
    async with opened(f"serial:{tmp_path}/ttyUSB9") as port:
        await wait_for(lambda: "cannot be opened" in port.why)
        assert "ttyUSB9" in port.why


async def test_what_nobody_reads_is_left_with_the_sender() -> None:
    number = free_port()
    async with opened(f"tcp-listen:127.0.0.1:{number}") as port:
        _, writer = await connect(number)
        n_sent = 40 * 1024 * 1024
        sending = asyncio.create_task(_send(writer, n_sent))
        await wait_for(lambda: port._inbox_bytes > INBOX_BYTES)
        await asyncio.sleep(0.3)
        assert port._inbox_bytes < 4 * INBOX_BYTES
        n_heard = 0
        async for received in port:
            n_heard += len(received.data)
            if n_heard == n_sent:
                break
        await sending


async def _send(writer: asyncio.StreamWriter, n_bytes: int) -> None:
    for _ in range(0, n_bytes, 65536):
        writer.write(bytes(65536))
        await writer.drain()
    writer.close()


async def test_datagrams_come_as_they_are_and_answers_go_back_to_their_sender() -> None:
    number = free_port(socket.SOCK_DGRAM)
    async with (
        opened(f"udp:127.0.0.1:{number}") as hub_side,
        opened(f"udp://127.0.0.1:{number}") as device_side,
    ):
        begun = await anext(device_side)
        assert begun.turn is Turn.OPENED
        await wait_for(lambda: hub_side.state is PortState.OPEN)
        await device_side.write(b"one")
        await device_side.write(b"two")
        first = await anext(hub_side)
        assert first.turn is Turn.OPENED
        assert [(await anext(hub_side)).data for _ in range(2)] == [b"one", b"two"]
        await hub_side.write(b"back", first.connection)
        assert (await anext(device_side)).data == b"back"


@pytest.mark.parametrize(
    "spec",
    ["", "serial:", "tcp:1.2.3.4:5", "tcp://host", "tcp://:99", "tcp-listen:0", "udp:x", "folder:", "usb:1"],
)
def test_a_port_that_is_not_understood_is_refused(spec: str) -> None:
    with pytest.raises(SettingsError, match="port"):
        open_port(spec, clock=CLOCK)


@pytest.mark.parametrize(
    ("settings", "text", "byte_ms"),
    [(LineSettings(1200), "1200 8N1", 8.333), (LineSettings(9600, 7, "E", 1), "9600 7E1", 1.042)],
)
def test_a_line_says_how_it_is_set(settings: LineSettings, text: str, byte_ms: float) -> None:
    assert str(settings) == text
    assert settings.byte_ms == pytest.approx(byte_ms, abs=0.001)


# ------------------------------------------------------------------------ folders


@contextlib.asynccontextmanager
async def watching(folder: Path) -> AsyncIterator[FolderPort]:
    async with (
        asyncio.timeout(20),
        FolderPort(f"folder:{folder}", CLOCK, folder=folder, look_s=0.05) as port,
    ):
        yield port


async def next_files(port: Port) -> dict[str, bytes]:
    while True:
        received = await anext(port)
        if received.turn is Turn.DATA:
            return decode_bundle(received.data)


async def test_a_file_that_still_grows_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    async with watching(tmp_path) as port:
        reading = asyncio.create_task(next_files(port))
        text = b""
        for _ in range(10):
            text += b"140\n"
            path.write_bytes(text)
            await asyncio.sleep(0.03)
        assert await reading == {"a.csv": text}


async def test_a_file_stays_until_it_is_stored_and_then_goes_to_done(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"140")
    async with watching(tmp_path) as port:
        await next_files(port)
        assert path.exists()
        await port.write(encode_answer("a.csv", None))
        assert not path.exists()
        assert (tmp_path / "done" / "a.csv").read_bytes() == b"140"
        path.write_bytes(b"141")
        assert await next_files(port) == {"a.csv": b"141"}
        await port.write(encode_answer("a.csv", None))
    assert {p.name for p in (tmp_path / "done").iterdir()} == {"a.csv", "a~2.csv"}


async def test_a_file_never_answered_is_handed_over_again_after_a_restart(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"140")
    for _ in range(2):
        async with watching(tmp_path) as port:
            assert await next_files(port) == {"a.csv": b"140"}


async def test_a_refused_file_goes_away_with_its_reason_beside_it(tmp_path: Path) -> None:
    (tmp_path / "bed7").mkdir()
    (tmp_path / "bed7" / "a.txt").write_bytes(b"?")
    async with watching(tmp_path) as port:
        await next_files(port)
        await port.write(encode_answer("bed7/a.txt", "expected a file of .csv"))
    assert (tmp_path / "refused" / "bed7" / "a.txt").exists()
    reason = tmp_path / "refused" / "bed7" / "a.txt.reason.txt"
    assert reason.read_text().strip() == "expected a file of .csv"


async def test_header_and_data_of_a_record_come_together(tmp_path: Path) -> None:
    (tmp_path / "a.hea").write_bytes(b"header")
    async with watching(tmp_path) as port:
        reading = asyncio.create_task(next_files(port))
        await asyncio.sleep(0.3)
        assert not reading.done()
        (tmp_path / "a.dat").write_bytes(b"data")
        assert await reading == {"a.hea": b"header", "a.dat": b"data"}
        await port.write(encode_answer("a.hea", None))
    assert {p.name for p in (tmp_path / "done").iterdir()} == {"a.hea", "a.dat"}


async def test_a_folder_that_goes_away_is_said_and_found_again(tmp_path: Path) -> None:
    folder = tmp_path / "drop"
    async with watching(folder) as port:
        await wait_for(lambda: "cannot be read" in port.why)
        folder.mkdir()
        assert (await anext(port)).turn is Turn.OPENED


# --------------------------------------------------------------------- recordings


async def test_recorded_bytes_come_back_with_their_times_and_then_it_ends(tmp_path: Path) -> None:
    log = RawLog(tmp_path)
    blocks = [
        Received(b"", 1000.0, 1, Turn.OPENED),
        Received(b"abc", 1001.5, 1),
        Received(b"", 1002.0, 1, Turn.CLOSED),
        Received(b"", 2000.0, 1, Turn.OPENED),
        Received(b"\x10\x02", 2001.0, 1),
    ]
    for block in blocks:
        log.append(block)
    log.close()
    async with opened(f"replay:{tmp_path}") as port:
        heard = [received async for received in port]
    assert [(r.data, r.t_ms, r.turn) for r in heard[:5]] == [(b.data, b.t_ms, b.turn) for b in blocks]
    assert [r.connection for r in heard] == [1, 1, 1, 2, 2, 2]
    assert heard[-1].turn is Turn.CLOSED
    assert port.why == "the recording has ended"


async def test_a_long_recording_waits_for_its_reader(tmp_path: Path) -> None:
    log = RawLog(tmp_path)
    for i in range(64):
        log.append(Received(bytes(64 * 1024), float(i), 1))
    log.close()
    n_heard = 0
    async with opened(f"replay:{tmp_path}") as port:
        async for received in port:
            assert port._inbox_bytes < 2 * INBOX_BYTES
            n_heard += len(received.data)
    assert n_heard == 64 * 64 * 1024
