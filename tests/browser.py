"""A browser without a screen, for tests that look at what is drawn by WebGL."""

import base64
import io
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CHROMIUM = shutil.which("chromium")
# WebGL by SwiftShader, which needs no GPU; commands come and go by the pipes 3 and 4 (Chrome DevTools Protocol).
_FLAGS = (
    *("--headless", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    *("--remote-debugging-pipe", "--window-size=1400,900"),
)


class Browser:
    """One page; to be closed."""

    def __init__(self, folder: Path) -> None:
        """``folder``: for what the browser keeps and says."""
        assert CHROMIUM is not None
        read, to_it = os.pipe()
        from_it, write = os.pipe()
        words = [CHROMIUM, *_FLAGS, f"--user-data-dir={folder / 'browser'}", "about:blank"]
        given = f'exec 3<&{read} 4>&{write}; exec "$@"'
        with (folder / "browser.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", given, "bash", *words], stdout=log, stderr=log, pass_fds=(read, write)
            )
        os.close(read)
        os.close(write)
        self._to, self._from = os.fdopen(to_it, "wb"), os.fdopen(from_it, "rb")
        self._number, self._rest, self._session = 0, b"", ""
        (page,) = [one for one in self._call("Target.getTargets")["targetInfos"] if one["type"] == "page"]
        self._session = self._call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]

    def open(self, address: str) -> None:
        """Go to a page, without waiting for it."""
        self._call("Page.enable")
        self._call("Page.navigate", url=address)

    def picture(self) -> np.ndarray:
        """(height, width, 3) uint8 RGB: what is seen now."""
        data = base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._to.close()
        self._from.close()

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        message |= {"sessionId": self._session} if self._session else {}
        self._to.write(json.dumps(message).encode() + b"\0")
        self._to.flush()
        while True:
            answer = json.loads(self._next())
            if answer.get("id") == self._number:
                assert "result" in answer, answer
                return dict(answer["result"])

    def _next(self) -> bytes:
        """The next message; each ends with a zero."""
        while b"\0" not in self._rest:
            part = os.read(self._from.fileno(), 1 << 20)
            assert part, "the browser is gone"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return message
