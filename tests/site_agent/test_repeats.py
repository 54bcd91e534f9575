"""A message that a central system sends again because no answer reached it, at a real agent."""

import asyncio
from pathlib import Path

import pytest

from tests.site_agent.rig import free_port
from tests.site_agent.test_agent_view import running, until
from tests.site_agent.test_drivers_hl7_mllp import RATE, oru

pytestmark = pytest.mark.system


async def send(port: int, message: bytes) -> bytes:
    """Send one message over a connection of its own; give the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(message)
        async with asyncio.timeout(10):
            return await reader.readuntil(b"\x1c\r")
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_message_sent_again_over_a_new_connection_is_answered_again_and_stored_once(tmp_path: Path):
    port = free_port()
    config = tmp_path / "agent.toml"
    config.write_text(  # a few hundred bytes
        f'site = "h012"\ndata_dir = "data"\n[broker]\nhost = "127.0.0.1"\nport = {free_port()}\n'
        f'[[beds]]\nname = "bed1"\ndriver = "hl7-mllp"\nport = "tcp-listen:127.0.0.1:{port}"\n'
        'source = "LDR^2^B"\n'
    )
    async with running(config) as agent:
        await until(lambda: "listening" in agent._readers[0]._port.why)
        answers = [await send(port, oru(RATE)) for _ in range(3)]
        assert [b"MSA|AA|M0001" in answer for answer in answers] == [True] * 3
        await until(lambda: agent.snapshot().backlog_frames == 1)
        assert b"MSA|AA|M0002" in await send(port, oru(RATE, control="M0002"))
        await until(lambda: agent.snapshot().backlog_frames == 2)
