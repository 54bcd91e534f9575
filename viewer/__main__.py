"""The command `ctg-viewer`."""

import argparse
import logging
import signal
import sys
from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from viewer.link import HubLink
from viewer.theme import DAY, NIGHT, font
from viewer.window import Console

_INCH_CM = 2.54


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the console until its window is closed."""
    options = _read_options(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    # Ctrl-C in the terminal ends the program; Qt's loop would never look.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    app = QApplication(sys.argv[:1])
    app.setFont(font(14))
    try:
        link = HubLink(options.hub)
    except ValueError as error:
        sys.stderr.write(f"ctg-viewer: {error}\n")
        return 2
    screen = app.primaryScreen()
    px_per_cm = options.px_per_cm or screen.physicalDotsPerInch() / _INCH_CM
    theme = {"day": DAY, "night": NIGHT}.get(options.theme)
    console = Console(link, operator=options.by, px_per_cm=px_per_cm, theme=theme)
    if options.language == "en":
        console.switch_language()
    link.start()
    if options.windowed:
        console.resize(1600, 900)
        console.show()
    else:
        console.setWindowState(Qt.WindowState.WindowFullScreen)
        console.showFullScreen()
    return app.exec()


def _read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="ctg-viewer",
        description="Desktop console of the fetal monitoring hub. A reading aid, not a medical device.",
    )
    parser.add_argument(
        "--hub", default="http://127.0.0.1:8000", help="address of the hub (default %(default)s)"
    )
    parser.add_argument("--by", default="", help="name or initials under which alerts are acknowledged")
    parser.add_argument(
        "--theme", choices=("clock", "day", "night"), default="clock", help="default: by the clock"
    )
    parser.add_argument("--language", choices=("ja", "en"), default="ja", help="which language is large")
    parser.add_argument("--windowed", action="store_true", help="in a window, not on the full screen")
    parser.add_argument("--px-per-cm", type=float, help="measured pixels per centimetre of this screen")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
