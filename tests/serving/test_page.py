"""The server's page in a real browser: a picture is drawn with its people, and what is no picture is said."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.serving.conftest import picture

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BROWSER, reason="it needs a browser: apt install chromium"),
]
OURS = ("http://localhost:", "data:", "blob:")  # how addresses begin that the page may load
# A camera that shows a test picture, and no question whether it may be used.
FLAGS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@pytest.fixture
def page(server: str) -> Iterator[Page]:
    """The page on a telephone. Errors of its script, and addresses elsewhere, fail the test."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        page = browser.new_page(viewport={"width": 390, "height": 800})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: errors.append(request.url) if not request.url.startswith(OURS) else None)
        page.goto(server)
        yield page
        browser.close()
        assert errors == []


def choose(page: Page, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    page.set_input_files("#file", path)


def test_picture_is_drawn_with_its_people(page: Page, tmp_path: Path) -> None:
    choose(page, tmp_path / "photo.png", picture())
    expect(page.locator("#said")).to_contain_text("1 person found in", timeout=30_000)
    row = page.locator("#table tr").nth(1)
    expect(row).to_contain_text("18 of 18")
    drawn = page.evaluate("[canvas.width, canvas.height, canvas.hidden]")
    assert drawn == [200, 184, False]
    colours = page.evaluate("new Set(context.getImageData(0, 0, 200, 184).data).size")
    assert colours > 50, "limbs and keypoints over the picture"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "no scrolling sideways on a telephone"


def test_what_is_no_picture_is_said(page: Page, tmp_path: Path) -> None:
    choose(page, tmp_path / "notes.txt", b"I am a text file")
    expect(page.locator("#said.error")).not_to_be_empty(timeout=30_000)


def test_camera_is_looked_at_until_it_is_stopped(page: Page) -> None:
    page.click("#camera")
    expect(page.locator("#said")).to_contain_text("found in", timeout=30_000)
    expect(page.locator("#camera")).to_have_text("stop the camera")
    page.click("#camera")
    expect(page.locator("#camera")).to_have_text("use the camera")
