"""Draw the pictures of docs/: run again, and read their captions again, when `hub.dsp.ALGORITHM` changes.

.venv/bin/python scripts/make_pictures.py
"""

import sys
from pathlib import Path

from hub.dsp import ALGORITHM
from hub.report.command import AnalyseOrder, carry_out

ROOT = Path(__file__).parents[1]
MAX_BYTES = 300_000
DPI = 80

PICTURES = {
    "example-analysis": ("1017", 20, 40),
    "analysis-accelerations": ("1381", 10, 30),
    "analysis-prolonged": ("1273", 0, 10),
    "analysis-gap": ("1139", 10, 20),
    "analysis-swings": ("1070", 60, 70),
    "analysis-toco-noise": ("1197", 40, 50),
    "analysis-missed-fall": ("1418", 50, 60),
}
"""Name, recording, and from which to which minute."""


def main() -> None:
    folder = ROOT / "docs" / "pictures"
    folder.mkdir(exist_ok=True)
    for name, (record, from_min, to_min) in PICTURES.items():
        path = folder / f"{name}.png"
        order = AnalyseOrder(
            record=ROOT / "device_sim" / "recordings" / f"{record}.npz",
            language="en",
            from_s=60.0 * from_min,
            to_s=60.0 * to_min,
            picture=path,
            dpi=DPI,
        )
        carry_out(order)
        size = path.stat().st_size
        sys.stdout.write(f"{path.relative_to(ROOT)}: {size} bytes, {ALGORITHM}\n")
        if size > MAX_BYTES:
            sys.exit(f"{path}: expected at most {MAX_BYTES} bytes, got {size}")


if __name__ == "__main__":
    main()
