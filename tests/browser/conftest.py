"""A headless Chromium: that of the system, driven by Playwright. Without either, these tests are skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SCREENSHOTS = Path(__file__).parents[2] / ".cache" / "screenshots"
Visit = Callable[..., Any]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="needs the extra: pip install 'harness[browser]'"
    )
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    chromium = next((found for name in names if name and (found := shutil.which(name))), None)
    if chromium is None:
        pytest.skip("no Chromium: install the package chromium, or name one in CHROMIUM")
    with playwright.sync_playwright() as started:
        driven = started.chromium.launch(executable_path=chromium)
        yield driven
        driven.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Visit]:
    """Open a file, `visit(path, "view=plot", width=375)`; no page may complain or ask for anything else."""
    contexts: list[Any] = []
    asked: list[str] = []
    said: list[str] = []

    def open_page(path: Path, fragment: str = "", *, width: int = 1440, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        log = context.new_cdp_session(page)
        log.send("Network.enable")
        log.on("Network.requestWillBeSent", lambda event: asked.append(event["request"]["url"]))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.as_uri() + (f"#{fragment}" if fragment else ""))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []
    assert [url for url in asked if not url.startswith("file:") or not url.endswith(".html")] == []
    assert len(asked) >= len(contexts)  # else nothing was listened to
