"""Controls a headless Chromium browser over the DevTools protocol, and runs axe, which checks accessibility."""

import asyncio
import base64
import json
import os
import shutil
import tempfile
import time
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path

import aiohttp
import pytest

from simulator.host import ROOT

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MISSING = "no browser: put chromium or google-chrome on the PATH, or name one in CHROME"
AXE_MISSING = "axe-core is missing: run `make setup`"
REQUIRED = bool(os.environ.get("BROWSER_REQUIRED"))
"""Whether a missing browser or axe is an error; `.ci/run` sets the variable after it installs the browser."""


def find() -> Path | None:
    """Return the browser that `CHROME` names, one from the PATH, or one that Playwright has installed."""
    named = next(filter(None, map(shutil.which, filter(None, (os.environ.get("CHROME"), *NAMES)))), None)
    kept = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright")
    installed = sorted(kept.glob("chromium*/chrome-linux*/*"))
    found = [path for path in installed if path.name in {"chrome", "headless_shell", "chrome-headless-shell"}]
    return Path(named) if named else next(iter(reversed(found)), None)


def find_axe() -> Path | None:
    """Return the accessibility checker from the project's packages or from `NODE_PATH`."""
    folders = [ROOT / "node_modules", *map(Path, filter(None, os.environ.get("NODE_PATH", "").split(os.pathsep)))]
    return next((file for folder in folders if (file := folder / "axe-core" / "axe.min.js").is_file()), None)


needed = pytest.mark.skipif(find() is None and not REQUIRED, reason=MISSING)
axe_needed = pytest.mark.skipif(find_axe() is None and not REQUIRED, reason=AXE_MISSING)


class Page:
    """A browser tab; its events are collected in `events`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = count(1)
        self._answers: dict[int, asyncio.Future] = {}
        self._session: str | None = None
        self.events: list[tuple[str, dict]] = []
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self):
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told:
                self._answers.pop(told["id"]).set_result(told)
            else:
                self.events.append((told["method"], told["params"]))

    async def call(self, method, **parameters):
        number = next(self._ids)
        self._answers[number] = answer = asyncio.get_running_loop().create_future()
        session = {"sessionId": self._session} if self._session else {}
        await self._socket.send_json({"id": number, "method": method, "params": parameters, **session})
        told = await asyncio.wait_for(answer, 60)
        assert "error" not in told, f"{method}: {told.get('error')}"
        return told["result"]

    async def start(self):
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")

    async def stop(self):
        self._session = None
        await self.call("Browser.close")
        self._listening.cancel()

    async def open(self, file: Path, *, width=1280, height=900, dark=False):
        """Open a file in a window of that size, with the file's own scripts disabled."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.call("Emulation.setEmulatedMedia", media="", features=scheme)
        await self.call("Emulation.setScriptExecutionDisabled", value=True)
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        self.events.clear()
        await self.call("Page.navigate", url=file.as_uri())
        async with asyncio.timeout(60):
            while not any(method == "Page.loadEventFired" for method, _ in self.events):  # noqa: ASYNC110 (no event)
                await asyncio.sleep(0.02)

    async def value(self, expression: str):
        """Return the value of an expression in the page."""
        told = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    async def until(self, expression: str):
        """Wait until an expression is true in the page."""
        async with asyncio.timeout(20):
            while not await self.value(expression):  # noqa: ASYNC110 (no event)
                await asyncio.sleep(0.05)

    async def unfold(self):
        await self.value("document.querySelectorAll('details').forEach(one => { one.open = true })")

    async def key(self, name: str, code: int):
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if name == "Enter" and kind == "keyDown" else {}
            await self.call(
                "Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code, **text
            )

    async def screenshot(self) -> bytes:
        """Return a PNG of the window."""
        shot = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(shot["data"])

    async def printed(self) -> bytes:
        """Return the page as a PDF."""
        told = await self.call("Page.printToPDF", printBackground=False)
        return base64.b64decode(told["data"])

    async def axe(self) -> list[dict]:
        """Return the violations that axe finds."""
        await self.call("Emulation.setScriptExecutionDisabled", value=False)  # it waits for timers
        script = find_axe()
        assert script is not None, AXE_MISSING
        await self.call("Runtime.evaluate", expression=script.read_text("utf-8"))
        found = await self.value("axe.run(document, {resultTypes: ['violations']}).then(JSON.stringify)")
        return json.loads(found)["violations"]

    @property
    def requests(self) -> list[str]:
        """Return the addresses that the page requested, its own first."""
        return [told["request"]["url"] for method, told in self.events if method == "Network.requestWillBeSent"]

    @property
    def complaints(self) -> list[str]:
        """Return the messages in the console."""
        logged = [told["entry"]["text"] for method, told in self.events if method == "Log.entryAdded"]
        return logged + [method for method, _ in self.events if method in CONSOLE]


CONSOLE = {"Runtime.consoleAPICalled", "Runtime.exceptionThrown"}


@asynccontextmanager
async def browser():
    """Open a page in a new browser profile, and close the browser at the end."""
    program = find()
    assert program is not None, MISSING
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            program,
            "--headless=new",
            "--no-sandbox",  # the tests may run as root
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--hide-scrollbars",
            "--remote-debugging-port=0",
            f"--user-data-dir={folder}",
            "about:blank",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            address = await asyncio.to_thread(_address, Path(folder) / "DevToolsActivePort")
            async with aiohttp.ClientSession() as session, session.ws_connect(address, max_msg_size=0) as socket:
                page = Page(socket)
                await page.start()
                yield page
                await page.stop()
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await asyncio.wait_for(process.wait(), 30)


def _address(told: Path) -> str:
    """Return the address at which the browser listens, as soon as it has written it."""
    until = time.monotonic() + 60
    while not (told.is_file() and len(told.read_text().split()) == 2):
        assert time.monotonic() < until, "The browser does not start."
        time.sleep(0.05)
    port, path = told.read_text().split()
    return f"ws://127.0.0.1:{port}{path}"
