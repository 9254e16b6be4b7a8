"""A page in headless Chromium that a test drives, by Chrome's DevTools protocol.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--mute-audio"),
    *("--remote-debugging-port=0", "--use-fake-device-for-media-stream"),
    "--use-fake-ui-for-media-stream",
)


class Tab:
    """The page.

    Args:
        socket: to the browser.
    """

    def __init__(self, socket: Any) -> None:
        self._socket, self._number = socket, 0
        self.failures: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **given: Any) -> dict[str, Any]:
        """What a method of the protocol gives."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": given}))
        while True:
            found = json.loads(self._socket.recv())
            if found.get("method") == "Runtime.exceptionThrown":
                self.failures.append(str(found["params"]["exceptionDetails"])[:500])
            if found.get("method") == "Log.entryAdded":
                entry = found["params"]["entry"]
                if entry["level"] == "error":
                    self.failures.append(f"{entry['text']} {entry.get('url', '')}")
            if found.get("id") == self._number:
                assert "error" not in found, found
                result: dict[str, Any] = found["result"]
                return result

    def run(self, script: str) -> Any:
        """The value of a script, after its promise; as if a person had clicked."""
        found = self.call(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, script: str, seconds: float = 30.0) -> float:
        """Seconds until a script gives true."""
        begin = time.monotonic()
        while time.monotonic() - begin < seconds:
            if self.run(script):
                return time.monotonic() - begin
            time.sleep(0.02)
        raise AssertionError(f"never true: {script}\n{self.run('document.body.innerText')}")

    def open(self, address: str) -> None:
        """Go to an address."""
        self.call("Page.navigate", url=address)

    def press(self, key: str, code: int) -> None:
        """Press a key."""
        more = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                **(more if kind == "keyDown" else {}),
            )

    def look(self, width: int, dark: bool) -> None:
        """Set the width of the window and the scheme of colours."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self) -> bytes:
        """All of the page as PNG."""
        found = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(found["data"])

    def give_file(self, selector: str, file: Path) -> None:
        """Choose a file in an input."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file)])


@contextmanager
def browser(folder: Path, spoken: Path) -> Iterator[Tab]:
    """Chromium with a microphone that hears a recording, over and over.

    Args:
        folder: for files of this test.
        spoken: a WAV file.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if not program:
        pytest.skip("chromium is not installed")
    websocket = pytest.importorskip("websocket", reason="websocket-client is not installed")
    profile = folder / "profile"
    words = [program, *FLAGS, f"--use-file-for-fake-audio-capture={spoken}"]
    process = subprocess.Popen(
        [*words, f"--user-data-dir={profile}", "about:blank"], stderr=subprocess.DEVNULL
    )
    try:
        port, until = profile / "DevToolsActivePort", time.monotonic() + 60
        while not (port.is_file() and port.read_text()) and time.monotonic() < until:
            time.sleep(0.05)
        address = f"http://127.0.0.1:{port.read_text().split()[0]}/json/list"
        while True:
            with urllib.request.urlopen(address) as answer:
                pages = [one for one in json.load(answer) if one["type"] == "page"]
            if pages:
                break
            time.sleep(0.05)
        socket = websocket.create_connection(
            pages[0]["webSocketDebuggerUrl"], suppress_origin=True, timeout=60
        )
        yield Tab(socket)
        socket.close()
    finally:
        process.terminate()
        process.wait(20)
