"""`ctg-agent probe` on simulated monitors and on what is none."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from device_sim.device import Device, Monitor, Pty, listen
from device_sim.ge115 import Ge115Monitor
from device_sim.scenarios import scenario_source
from device_sim.series50 import MonitorPlan, Series50Monitor
from hub.errors import SettingsError
from site_agent.__main__ import app
from site_agent.probe import probe_port
from tests.site_agent.test_drivers_file_drop import CSV
from tests.site_agent.test_drivers_hl7_mllp import RATE, TOCO, oru

SPEED = 8.0


@contextlib.asynccontextmanager
async def device(monitor: Monitor) -> AsyncIterator[Device]:
    made = Device(monitor=monitor, speed=SPEED)
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_monitor_that_waits_to_be_asked_is_found_by_asking() -> None:
    monitor = Series50Monitor(scenario_source("late_severe", seed=1), MonitorPlan())
    async with device(monitor) as made:
        with Pty(made) as pty:
            report = await probe_port(f"serial:{pty.path}", 1.0)
    assert report.driver == "series50"
    best = report.hearings[0]
    assert best.was_asked
    assert best.n_ticks >= 4
    text = "\n".join(report.lines())
    assert "M1350A 3512G00123" in text
    assert "fhr1" in text


async def test_a_monitor_that_sends_by_itself_is_found_without_a_word() -> None:
    heard: list[bytes] = []

    class Listening(Ge115Monitor):
        def hear(self, data: bytes) -> bytes:
            heard.append(data)
            return b""

    async with device(Listening(scenario_source("twins", seed=1))) as made:
        with Pty(made) as pty:
            report = await probe_port(f"serial:{pty.path}", 1.0)
    assert report.driver == "ge115"
    assert not report.hearings[0].was_asked
    assert heard == []


async def test_over_tcp_every_driver_of_tcp_is_tried() -> None:
    monitor = Series50Monitor(scenario_source("late_severe", seed=1), MonitorPlan())
    async with device(monitor) as made, await listen(made, "127.0.0.1", 0) as server:
        report = await probe_port(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", 0.8)
    assert report.driver == "series50"


async def test_a_central_system_is_found_and_never_told_that_its_data_are_stored() -> None:
    answers: list[bytes] = []

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(oru(RATE, TOCO))
        answers.append(await reader.read())
        writer.close()

    async with await asyncio.start_server(send, "127.0.0.1", 0) as server:
        report = await probe_port(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", 0.5)
    assert report.driver == "hl7-mllp"
    assert answers[0] == b""


async def test_a_folder_is_read_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    report = await probe_port(f"folder:{tmp_path}", 3.0)
    assert report.driver == "file-drop"
    assert (tmp_path / "a.csv").exists()


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (bytes((0x00, 0xF8, 0x80, 0xFE)) * 200, "another speed"),
        (b"HELLO FROM A PRINTER\r\n" * 40, "text"),
        (b"", "nothing heard"),
    ],
)
async def test_what_no_driver_understands_is_shown_as_it_came(sent: bytes, says: str) -> None:
    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(send, "127.0.0.1", 0) as server:
        report = await probe_port(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", 0.3)
    assert report.driver is None
    assert says in "\n".join(report.lines())


async def test_a_port_that_no_driver_takes_is_refused() -> None:
    with pytest.raises(SettingsError, match="usb"):
        await probe_port("usb:1", 1.0)


def test_the_command_says_it_and_ends_with_one_where_nothing_is_understood(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app(["probe", f"serial:{tmp_path}/ttyUSB9", "--seconds", "0.5"]) == 1
    assert "cannot be opened" in capsys.readouterr().out
    assert app(["probe", "usb:1"]) == 2
    assert app(["probe", "usb:1", "--seconds", "0"]) == 2
    assert "ctg-agent: --seconds: expected at least 0.5, got 0" in capsys.readouterr().err


def test_the_command_checks_a_configuration_and_says_what_is_wrong_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "agent.toml"
    path.write_text((Path(__file__).parents[2] / "deploy" / "agent.toml").read_text().replace("h012", "h 12"))
    assert app(["check", str(path)]) == 2
    assert f"ctg-agent: {path}: site: expected" in capsys.readouterr().err
    with pytest.raises(SystemExit) as usage:
        app(["chek"])
    assert usage.value.code == 2
