"""The site as a person sees it: in a browser, wide and narrow, light and dark, searched, and checked by axe-core."""

import json
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from .test_site import HTML, site  # noqa: F401 (a fixture)

CHROMIUM = shutil.which("chromium")
AXE = Path(os.environ.get("VARL_AXE", ""))
LOOK = Path(__file__).parent / "seen/look.html"
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt install chromium)"),
    pytest.mark.skipif(not AXE.is_file(), reason="VARL_AXE names no axe.min.js (npm install axe-core)"),
    pytest.mark.timeout(1200),
]


class Pages(SimpleHTTPRequestHandler):
    """The site, what looks at it, and a place to tell what was seen."""

    seen: "queue.Queue[list[str]]" = queue.Queue()

    def translate_path(self, path: str) -> str:
        own = {"/axe.min.js": AXE, "/look.html": LOOK}.get(path.partition("?")[0])
        return str(own) if own else super().translate_path(path)

    def do_POST(self) -> None:
        self.seen.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def address(site: Path) -> Iterator[str]:  # noqa: F811
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Pages, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_every_page_can_be_read_and_searched(address: str, tmp_path: Path) -> None:
    pages = sorted(f"/{page.relative_to(HTML)}" for page in HTML.rglob("*.html") if page != HTML / "index.html")
    assert len(pages) > 30
    url = f"{address}/look.html?pages={quote(json.dumps(pages))}"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--window-size=1400,1000"]
    with (tmp_path / "log").open("wb") as log:
        browser = subprocess.Popen([str(CHROMIUM), *flags, url], stdout=log, stderr=log)
        try:
            wrong = Pages.seen.get(timeout=1100)
        finally:
            browser.kill()
            browser.wait()
    assert wrong == [], "\n".join(wrong)
