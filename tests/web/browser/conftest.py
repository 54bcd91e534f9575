"""A real browser on the console's own modules, and on the whole chain."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from hub.web.app import STATIC_DIR

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
BLANK = b"<!doctype html><link rel=stylesheet href=css/tokens.css><body></body>"


class ModuleFiles(SimpleHTTPRequestHandler):
    """The console's files, and a page that loads nothing but the colours."""

    def do_GET(self) -> None:
        if self.path != "/blank":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(BLANK)))
        self.end_headers()
        self.wfile.write(BLANK)

    def log_message(self, *args: Any) -> None:
        """Stay silent: a test that fails says enough."""


@pytest.fixture(scope="session")
def module_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(ModuleFiles, directory=str(STATIC_DIR)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# One browser per module: it keeps an event loop running, which other modules' async tests could not bear.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def modules(browser: Browser, module_url: str) -> Iterator[Page]:
    """A blank page from which `import("/js/….js")` gives the console's modules."""
    page = browser.new_page()
    page.goto(f"{module_url}/blank")
    yield page
    page.close()
