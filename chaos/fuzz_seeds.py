"""Whole messages of every kind: what the mutator breaks, and what a reader must accept."""

import io
import struct
from collections.abc import Sequence
from typing import Final

import numpy as np

from hub.model import (
    Ack,
    Advice,
    BedEvent,
    BedState,
    Channel,
    CommandKind,
    DeviceState,
    EventKind,
    FillCredit,
    FrameFlag,
    LiveMessage,
    MonitorStatus,
    SiteCommand,
    SiteHealth,
    SiteState,
    SiteStatus,
    Transducer,
    WaveFrame,
)
from hub.web import examples
from hub.wire import encode_wave, samples_from_values
from site_agent.drivers.bundle import encode_bundle
from site_agent.drivers.ge115 import encode_message
from site_agent.drivers.series50 import encode_block

T0_MS: Final = 1_763_610_000_000


def wave_seeds() -> list[bytes]:
    """Frames of every channel, of few and many ticks, with and without flags and CRC."""
    rng = np.random.default_rng(1)
    seeds = []
    for seq, (n_ticks, period_ms) in enumerate([(4, 250), (1, 1000), (20, 50), (255, 10), (120, 250)]):
        for flags in (FrameFlag.NONE, FrameFlag.CRC, FrameFlag.TEST | FrameFlag.BACKFILL):
            rates = 140 + 10 * rng.standard_normal(n_ticks)
            channels = tuple(
                samples_from_values(channel, rates, transducer=Transducer.ULTRASOUND)
                for channel in list(Channel)[: 1 + seq % len(Channel)]
            )
            frame = WaveFrame(
                "h1", "b1", 7, seq, T0_MS, period_ms, n_ticks, flags, MonitorStatus.ON, channels
            )
            seeds.append(encode_wave(frame))
    return seeds


JSON_SEEDS: Final[Sequence[object]] = (
    SiteStatus(state=SiteState.ONLINE, t_ms=T0_MS, name="架空", version="1", beds=("b1", "b2")),
    BedState(state=DeviceState.OK, since_ms=T0_MS, label="A-1", gestational_weeks=39.4, is_twin=True),
    BedEvent(id="01K1A4R2Q7M0E5Z8H3W6N9B4XT", kind=EventKind.NIBP, t_ms=T0_MS, values={"pulse_bpm": 80.0}),
    Ack(epoch=7, contiguous=12, missing=((14, 20), (30, 30)), highest=44),
    Advice(id="01", t_ms=T0_MS, author="K.M.", text="左側臥位", strip_t_ms=T0_MS),
    SiteHealth(t_ms=T0_MS, backlog_frames=12, clock_offset_ms=-3.5, rejected={"series50 crc": 2}),
    FillCredit(frames_per_s=2000.0),
    SiteCommand(id="01", kind=CommandKind.RESEND, bed="b1", from_ms=1, to_ms=2),
    examples.ALERT,
    LiveMessage(type="update", seq=1, t_ms=1, boot_id="b", beds=(examples.BED,), alerts=(examples.ALERT,)),
)


def record_seeds() -> dict[str, bytes]:
    """Write a small recording of each form as one file, by its ending."""
    rates = np.full(240, 140.25)
    archive = io.BytesIO()
    np.savez(archive, fhr=rates, toco=rates / 7, fs=np.array(4.0), outcome=np.array('{"pH": 7.1}'))
    words = np.zeros(240, np.dtype([("a", "<u2"), ("b", "<u2"), ("toco", "u1"), ("flags", "u1")]))
    words["a"] = 560
    with_mother = np.zeros(
        240, np.dtype([("a", "<u2"), ("b", "<u2"), ("m", "<u2"), ("toco", "u1"), ("flags", "u1")])
    )
    csv = "# fs=4\nfhr,toco\n" + "140.25,20\n,21\n0,22.5\n" * 40
    return {
        ".csv": csv.encode(),
        ".npz": archive.getvalue(),
        ".edf": _edf("EDF+D"),
        ".fhr": struct.pack("<I", 1_700_000_000) + words.tobytes(),
        ".fhrm": struct.pack("<I", 1_700_000_000) + with_mother.tobytes(),
        ".hea": _wfdb(),
    }


def _wfdb() -> bytes:
    """Write header and samples as one file, the samples behind the header."""
    line = "a.hea 16+{offset:03} 10(0)/bpm 12 0 0 0 0 {name}\n"
    head = "".join(("a 2 4 120\n", line.format(offset=0, name="FHR"), line.format(offset=0, name="UC")))
    return head.replace("+000", f"+{len(head):03}").encode() + bytes(480)


def _edf(kind: str) -> bytes:
    signals = [("FHR", 4), ("TOCO", 4), ("EDF Annotations", 16)]

    def column(width: int, texts: Sequence[str]) -> str:
        return "".join(text.ljust(width) for text in texts)

    n, blocks = len(signals), 20
    fixed = (("0", 8), ("X", 80), ("X", 80), ("01.01.26", 8), ("00.00.00", 8), (str(256 * (n + 1)), 8))
    head = "".join(column(width, [text]) for text, width in (*fixed, (kind, 44), (str(blocks), 8)))
    head += column(8, ["1"]) + column(4, [str(n)]) + column(16, [name for name, _ in signals])
    head += column(80, [""] * n) + column(8, ["bpm"] * n)
    for bound in ("0", "1000", "0", "4000"):
        head += column(8, [bound] * n)
    head += column(80, [""] * n) + column(8, [str(count) for _, count in signals]) + column(32, [""] * n)
    body = b""
    for number in range(blocks):
        body += np.array([560] * 4 + [80] * 4, "<i2").tobytes()
        body += f"+{number}\x14\x14".encode().ljust(32, b"\0")
    return head.encode("ascii") + body


# ---------------------------------------------------------------------------- devices

_CTG: Final = bytes.fromhex(
    "438000423042314234423600" + "0000000000000021482148214821" + "4828292a2b20600800"
)
_HL7: Final = (
    b"\x0bMSH|^~\\&|CENTRAL|CLINIC|HUB|CENTRE|20251120190001+0900||ORU^R01^ORU_R01|M0001|P|2.5||||||\r"
    b"PID|1||000001\rPV1|1|I|LDR^2^B\rOBR|1|||CTG|||20251120190000+0900|20251120190001+0900\r"
    b"OBX|1|NA|55283-6^Fetal heart rate^LN||140^141^^0|/min\rOBX|2|NA|toco^^L||20^20.5^21^21.5|\r\x1c\r"
)
_CSV: Final = b"# fs=4\n# start=2026-11-20T10:00:00+09:00\nfhr1,fhr2,toco\n140,150,20\n,151,21\n149,152,22\n"

DRIVER_SEEDS: Final[dict[str, list[bytes]]] = {
    "series50": [
        encode_block(_CTG),
        encode_block(_CTG) * 3,
        encode_block(b"C\x80\x00" + bytes(24) + b"\x10" * 5 + b"\x00\x08\x00"),
        encode_block(b"MM"),
        encode_block(b"P\x00\x76\x00\x48\x00\x58\xff\xff"),
        encode_block(b"N\x00turned left"),
    ],
    "ge115": [encode_message(*one) for one in (("`", "140"), ("d", ""), ("c", "VE 4 cm"), ("`", "00"))],
    "hl7-mllp": [_HL7, _HL7 * 2],
    "intellivue": [
        bytes.fromhex(
            "e1000002000200560001000700500021000000000c160046000100003039000000000000000000010006000000"
            "01002e00000002002822110001000e0950000af0cb00000aa00000008c22110001000e0950000af0d400000200"
            "ff0000cd"
        ),
        bytes.fromhex(
            "e1000002000100360009000100300021000000000000004d0d0600220021000000000001001809280014000850"
            "68696c6970730000084d32373035410000"
        ),
    ],
    "file-drop": [encode_bundle({"a.csv": _CSV}), encode_bundle({"bed7/b.csv": _CSV})],
}
"""What each driver hears when all is well; one that is not named here hears what the others do."""
