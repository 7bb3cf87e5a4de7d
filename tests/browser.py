"""Pages in a real headless Chromium: no console error, no request beyond the file itself, or the test fails."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")

Open = Callable[..., Any]


def missing(why: str) -> None:
    """In CI a page that is not looked at is a failure; on a desk it is a skip that says why."""
    if os.environ.get("CI", "").casefold() in ("1", "true"):
        pytest.fail(f"pages cannot be checked: {why}")
    pytest.skip(why)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser, one for the tests of a module: an event loop runs while it is open, and Dask wants its own."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        missing("playwright is not installed: pip install playwright")
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        missing(f"no browser on the PATH: {', '.join(NAMES)}")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        except Error as error:
            missing(f"{path} does not start: {error}")
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any, tmp_path: Path) -> Iterator[Open]:
    """Open a page: ``open_page(path_or_html, width=800, height=900, scheme="light", media="screen", script=True)``.

    What it returns is a Page of playwright. At the end of the test every page that was opened must have logged no
    error and asked for nothing but its own file.
    """
    problems: list[str] = []
    with ExitStack() as stack:
        count = 0

        def opened(
            page: Path | str, *, width: int = 800, height: int = 900, scheme: str = "light", media: str = "screen",
            script: bool = True,
        ) -> Any:  # fmt: skip
            nonlocal count
            if isinstance(page, str):
                count += 1
                path = tmp_path / f"page-{count}.html"
                path.write_text(page, encoding="utf-8")
            else:
                path = page
            context = chromium.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, java_script_enabled=script
            )
            stack.callback(context.close)
            context.set_default_timeout(20_000)
            sheet = context.new_page()
            address = path.resolve().as_uri()

            def asked(request: Any) -> None:
                if request.url.split("#")[0] != address:
                    problems.append(f"asked for {request.url}")

            def logged(message: Any) -> None:
                if message.type in ("error", "warning"):
                    problems.append(f"console: {message.text}")

            sheet.on("request", asked)
            sheet.on("console", logged)
            sheet.on("pageerror", lambda error: problems.append(f"script: {error}"))
            sheet.on("dialog", lambda dialog: (problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
            sheet.emulate_media(media=media)
            sheet.goto(address)
            return sheet

        yield opened
    assert not problems, "\n".join(problems)


def width_of(sheet: Any) -> int:
    """How wide the page is that scrolls; more than the window means that it scrolls sideways."""
    return int(sheet.evaluate("document.documentElement.scrollWidth"))


CONTRAST = """() => {
  const lines = [];
  const parse = (text) => {
    const canvas = document.createElement('canvas'); canvas.width = canvas.height = 1;
    const pen = canvas.getContext('2d', {willReadFrequently: true});
    pen.fillStyle = text; pen.fillRect(0, 0, 1, 1);
    const p = pen.getImageData(0, 0, 1, 1).data;
    return [p[0], p[1], p[2], p[3] / 255];
  };
  const light = (c) => {
    const [r, g, b] = c.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const seen = new Map();
  const remember = (text) => { if (!seen.has(text)) seen.set(text, parse(text)); return seen.get(text); };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const c = remember(getComputedStyle(at).backgroundColor);
      if (c[3] > 0.99) return c;
    }
    return [255, 255, 255, 1];
  };
  const pairs = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode, element = node.parentElement;
    if (!node.textContent.trim() || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const inSvg = element instanceof SVGElement;
    if (inSvg && (element.tagName === 'title' || element.tagName === 'desc')) continue;
    const text = inSvg ? style.fill : style.color;
    const back = ground(inSvg ? element.closest('svg').parentElement : element);
    const key = text + back;
    if (pairs.has(key)) continue;
    pairs.add(key);
    const front = remember(text);
    const [a, b] = [light(front.slice(0, 3)), light(back.slice(0, 3))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const words = node.textContent.trim().slice(0, 40);
    if (ratio < 4.5) lines.push(`${ratio.toFixed(2)} ${text} on ${back.slice(0, 3)}: ${words}`);
  }
  return lines;
}"""
"""In the page: every pair of a text's colour and its ground whose contrast is under 4.5."""
