"""Take the pictures of both consoles for docs/pictures from a hub that is running.

Start the demo, let it run for a quarter of an hour, acknowledge an alert, then:

.venv/bin/python scripts/make_screens.py --hub http://127.0.0.1:8000 --bed h001/bed3
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from playwright.sync_api import sync_playwright
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from viewer.link import HubLink, monotonic_s
from viewer.theme import DAY, NIGHT, Theme, font
from viewer.tile import FLASH_HZ
from viewer.window import Console

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
WALL, DESK = QSize(2560, 1440), QSize(1920, 1080)
WIDTH_PX = 1600
SETTLE_MS = 8000
MAX_BYTES = 450_000
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
COARSE = bytes(min(255, (value + 4) // 8 * 8) for value in range(256))
"""Colours to the next eighth, white to white, where a picture would be too large: text stays as sharp."""


def main() -> None:
    options = _read_options()
    FOLDER.mkdir(exist_ok=True)
    app = QApplication(sys.argv[:1])
    app.setFont(font(14))
    browser_views = {
        "wall-day": ("day", "/", WALL),
        "wall-night": ("night", "/", WALL),
        "bed-day": ("day", f"/bed/{options.bed}", DESK),
        "bed-night": ("night", f"/bed/{options.bed}", DESK),
        "alerts-night": ("night", "/alerts", DESK),
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.chromium, args=CHROMIUM_ARGUMENTS)
        for name, (theme, view, size) in browser_views.items():
            # A border that flashes would be there in one picture and not in the next.
            page = browser.new_page(
                viewport={"width": size.width(), "height": size.height()}, reduced_motion="reduce"
            )
            page.goto(f"{options.hub}/?theme={theme}&lang={options.language}#{view}")
            page.mouse.click(5, 5)  # a browser makes no sound before somebody has touched the page
            page.wait_for_timeout(SETTLE_MS)
            _keep(name, QImage.fromData(page.screenshot()))
            page.close()
        browser.close()
    for desktop_theme in (DAY, NIGHT):
        suffix = "night" if desktop_theme.is_night else "day"
        _keep(f"desktop-wall-{suffix}", _desktop(options, desktop_theme, WALL))
        _keep(
            f"desktop-bed-{suffix}", _desktop(options, desktop_theme, DESK, lambda c: c.open_bed(options.bed))
        )


def _desktop(
    options: argparse.Namespace,
    theme: Theme,
    size: QSize,
    then: Callable[[Console], None] = lambda _console: None,
) -> QImage:
    """Open a desktop console offscreen and take its picture."""
    link = HubLink(options.hub)
    console = Console(link, operator=options.by, theme=theme)
    if options.language == "en":
        console.switch_language()
    console.resize(size)
    console.show()
    link.start()
    QTest.qWait(SETTLE_MS)
    then(console)
    QTest.qWait(2000)
    # Borders of two priorities flash at two paces: the picture shows both.
    while not all(0.15 < monotonic_s() * hertz % 1.0 < 0.45 for hertz in FLASH_HZ.values()):
        QTest.qWait(20)
    picture = console.grab().toImage()
    console.close()
    return picture


def _keep(name: str, picture: QImage) -> None:
    picture = picture.scaledToWidth(WIDTH_PX, Qt.TransformationMode.SmoothTransformation)
    picture = picture.convertToFormat(QImage.Format.Format_RGB888)
    path = FOLDER / f"{name}.png"
    picture.save(str(path), quality=0)
    if path.stat().st_size > MAX_BYTES:
        raw = bytes(picture.constBits()).translate(COARSE)
        QImage(
            raw, picture.width(), picture.height(), picture.bytesPerLine(), QImage.Format.Format_RGB888
        ).save(str(path), quality=0)
    size = path.stat().st_size
    sys.stdout.write(f"{path.name}: {size} bytes\n")
    if size > MAX_BYTES:
        sys.exit(f"{path}: expected at most {MAX_BYTES} bytes, got {size}")


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--hub", default="http://127.0.0.1:8000", help="address of a hub that is running")
    parser.add_argument("--bed", default="h001/bed3", help="site/bed of the pictures of one bed")
    parser.add_argument("--by", default="K.M.", help="initials in the desktop console")
    parser.add_argument("--language", choices=("ja", "en"), default="ja")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser's program")
    return parser.parse_args()


if __name__ == "__main__":
    main()
