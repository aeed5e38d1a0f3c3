"""The app in a real browser: headless Chromium, driven by Playwright; and what it is made of."""

import asyncio
import csv
import http.client
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from captioning.app.corrections import keep_correction
from captioning.app.export import alt_text_table
from captioning.app.fragments import render_cards
from captioning.app.photos import MAX_BYTES, MAX_PIXELS, SessionPhoto, read_photo
from captioning.errors import CaptioningError
from captioning.vision.images import UnreadableImageError
from tests.conftest import ROOT, script

MISSING = [name for name in ("gradio", "playwright") if find_spec(name) is None]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    MISSING.append("Chromium on the path")
in_browser = pytest.mark.skipif(bool(MISSING), reason=f"wants {', '.join(MISSING)}")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
FILES = "input[type=file] >> nth=0"
CLIENTS, SECONDS = 8, 60
SETTLING = 1000
"""Milliseconds until the page answers: it keeps a connection open, so it is never idle."""


def test_corrections_are_lines_of_json(tmp_path: Path) -> None:
    path = tmp_path / "corrections.jsonl"
    keep_correction(path, "a.jpg", "Ein Hund läuft", "a dog runs")
    keep_correction(path, "b.jpg", "two\ncats", "a cat")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [row["image"] for row in rows] == ["a.jpg", "b.jpg"]
    assert rows[0]["caption"] == "Ein Hund läuft"
    assert rows[1]["model_caption"] == "a cat"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\+00:00", rows[0]["time"])
    with pytest.raises(CaptioningError, match="cannot write"):
        keep_correction(tmp_path, "a.jpg", "a", "b")


def test_no_cell_of_the_table_is_a_formula() -> None:
    cells = ["=1+1", "+x", "-x", "@x", "\tx", 'a "b", c', "a dog - a cat"]
    text = alt_text_table([(cell, cell) for cell in cells])
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["image", "alt_text"]
    for cell, row in zip(cells, rows[1:], strict=True):
        assert row[0] == row[1]
        assert row[0].lstrip("'") == cell
        assert row[0][0] not in "=+-@\t\r\n"


def test_a_card_marks_a_photo_that_is_unlike_the_training_photos() -> None:
    from PIL import Image

    def card(familiar: float | None, corrected: str | None = None) -> str:
        picture, best = Image.new("RGB", (4, 4)), [("a dog", -1.0)]
        photo = SessionPhoto("a.jpg", picture, np.ones(3), None, best, corrected, familiar)
        return render_cards([photo])

    mark = '<p class="mark">unlike the training photos</p>'
    assert mark in card(0.004) and " · familiar 0.4%" in card(0.004)
    assert mark not in card(0.5) and " · familiar 50.0%" in card(0.5)
    assert mark not in card(None) and "familiar" not in card(None)
    assert mark not in card(0.004, corrected="my words")  # a person knows


def test_what_is_no_photo_or_too_large_is_refused(tmp_path: Path) -> None:
    from PIL import Image

    text, large, wide = tmp_path / "a.txt", tmp_path / "large.jpg", tmp_path / "wide.png"
    text.write_text("no photo")
    with large.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    Image.new("1", (MAX_PIXELS // 5000 + 1, 5000)).save(wide)
    for path, reason in ((text, "not an image"), (large, "30 MB"), (wide, "pixels")):
        with pytest.raises(UnreadableImageError, match=reason):
            read_photo(path)


def test_wrong_arguments_are_refused_at_once(tmp_path: Path) -> None:
    for arguments, message in (
        (["--model", tmp_path / "none"], "is missing"),
        (["--corrections", tmp_path], "is a folder; name a file in it"),
        (["--port", "0"], "--port 0"),
        (["--corrections", tmp_path / "none" / "c.jsonl"], "no such folder"),
    ):
        done = script("app.py", *arguments)
        assert done.returncode == 2, done.stderr
        assert message in done.stderr


@pytest.fixture(scope="module")
def app(grids_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict]:
    """The app, running: its address, and the files of its corrections and uploads."""
    folder = tmp_path_factory.mktemp("app")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [
            sys.executable,
            str(ROOT / "app.py"),
            "--model",
            str(grids_models["transformer"]),
            "--port",
            str(port),
            "--corrections",
            str(folder / "corrections.jsonl"),
        ],
        stdout=subprocess.PIPE,
        stderr=(folder / "log").open("w"),
        text=True,
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    line = process.stdout.readline()
    assert f"127.0.0.1:{port}" in line, (folder / "log").read_text()
    yield {"url": f"http://127.0.0.1:{port}", "port": port, "folder": folder}
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 130, (folder / "log").read_text()
    assert not list(folder.glob("captioning-uploads-*")), "uploads were left behind"
    assert "Traceback" not in (folder / "log").read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """Chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture()
def page(browser: object, app: dict) -> Iterator:
    """The app's page, ready, in a session of its own."""
    with browser.new_context() as context:
        yield opened(context.new_page(), app["url"])


def opened(page: object, url: str) -> object:
    page.goto(url)
    page.wait_for_selector(FILES, state="attached")
    page.wait_for_timeout(SETTLING)
    return page


@pytest.fixture(scope="module")
def photos(scenes_folder: Path) -> list[Path]:
    """Scenes, as the toy model was trained on."""
    return sorted((scenes_folder / "Flicker8k_Dataset").glob("*"))[:20]


@in_browser
def test_a_photo_is_dropped_and_its_caption_read(
    page: object, app: dict, photos: list[Path]
) -> None:
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_input_files(FILES, photos[0])
    page.wait_for_selector(".card")
    caption = page.inner_text(".photo-caption")
    done = script("caption_generator.py", "--model", _model_of(app), "--beam", 5, "-i", photos[0])
    assert done.stdout.strip() == caption
    assert re.search(r"confidence \d+%", page.inner_text(".card"))
    assert page.get_attribute(".card img", "alt") == caption
    page.wait_for_selector(".tiles img")
    assert page.locator(".tiles figcaption").all_inner_texts() == caption.split()
    assert page.locator(".best li").count() > 1
    page.get_by_label("greedy").check()
    page.wait_for_function("document.querySelectorAll('.best li').length == 1")
    elsewhere = [url for url in asked if not url.startswith((app["url"], "data:", "blob:"))]
    assert not elsewhere


def _model_of(app: dict) -> str:
    return re.search(r"model: (.*)", (app["folder"] / "log").read_text())[1]


@in_browser
def test_the_page_fits_a_phone_and_its_headings_are_in_order(
    page: object, photos: list[Path]
) -> None:
    page.set_viewport_size({"width": 360, "height": 800})
    page.set_input_files(FILES, photos[:2])
    page.wait_for_selector(".tiles img")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    left = page.locator("#cards .card").first.bounding_box()["x"]
    assert left == page.get_by_text("Keep my caption").bounding_box()["x"]
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])")
    assert levels[0] == 1 and max(np.diff(levels)) <= 1


@in_browser
def test_many_photos_at_once_and_their_table(page: object, photos: list[Path]) -> None:
    page.set_input_files(FILES, photos)
    page.wait_for_function("document.querySelectorAll('.card').length == 20")
    with page.expect_download() as download:
        page.click(".export")
    rows = list(csv.reader(Path(download.value.path()).read_text("utf-8-sig").splitlines()))
    assert [row[0] for row in rows[1:]] == [photo.name for photo in photos]
    assert [row[1] for row in rows[1:]] == page.locator(".photo-caption").all_inner_texts()


@in_browser
def test_a_text_file_is_refused_with_a_sentence(
    page: object, photos: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "<b>notes.txt").write_text("no photo")
    page.set_input_files(FILES, [tmp_path / "<b>notes.txt", photos[0]])
    page.wait_for_selector(".card")
    assert "notes.txt was refused: not an image" in page.inner_text("#notes")
    assert page.locator("#notes b").count() == 0
    assert page.locator(".card").count() == 1


@in_browser
def test_a_correction_is_kept(page: object, app: dict, photos: list[Path]) -> None:
    page.set_input_files(FILES, photos[1])
    page.wait_for_selector(".tiles img")
    before = page.inner_text(".photo-caption")
    page.get_by_label("Your caption").fill("<i>mine")
    page.get_by_text("Keep my caption").click()
    page.wait_for_selector("text=Kept your caption")
    assert page.inner_text(".photo-caption") == "<i>mine"
    row = json.loads((app["folder"] / "corrections.jsonl").read_text().splitlines()[-1])
    assert (row["image"], row["caption"], row["model_caption"]) == (
        photos[1].name,
        "<i>mine",
        before,
    )


@in_browser
def test_two_sessions_do_not_see_each_others_photos(
    browser: object, page: object, app: dict, photos: list[Path]
) -> None:
    with browser.new_context() as context:
        other = opened(context.new_page(), app["url"])
        page.set_input_files(FILES, photos[2])
        other.set_input_files(FILES, photos[3])
        for one, own, foreign in ((page, 2, 3), (other, 3, 2)):
            one.wait_for_selector(".tiles img")
            one.wait_for_timeout(500)
            assert one.locator(".card").count() == 1
            assert photos[own].name in one.content()
            assert photos[foreign].name not in one.content()
    uploads = list(app["folder"].glob("captioning-uploads-*/*/*.*"))
    assert uploads
    assert all(path.parents[1].stat().st_mode & 0o077 == 0 for path in uploads)
    for path in (*uploads[:1], ROOT / "app.py", "/etc/hostname"):
        assert _status(app, f"/gradio_api/file={path}") == 403
        assert _status(app, f"/file={path}") == 403
    page.get_by_text("Forget all photos").click()
    page.wait_for_function("document.querySelectorAll('.card').length == 0")


@in_browser
def test_only_this_machine_by_its_own_name_is_answered(app: dict) -> None:
    assert _status(app, "/") == 200
    assert _status(app, "/", host="elsewhere.example") == 403


def _status(app: dict, path: str, host: str = "127.0.0.1") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", app["port"], timeout=10)
    connection.request("GET", path, headers={"Host": f"{host}:{app['port']}"})
    return connection.getresponse().status


@pytest.mark.nightly
@in_browser
def test_eight_people_at_once_for_a_minute(app: dict, photos: list[Path]) -> None:
    """Each drops a photo, reads its caption, forgets it, and again; latencies are printed."""
    from playwright.async_api import async_playwright

    async def person(browser: object, number: int, latencies: list[float]) -> None:
        context = await browser.new_context()
        page = await context.new_page()
        await page.goto(app["url"])
        await page.wait_for_selector(FILES, state="attached")
        await page.wait_for_timeout(SETTLING)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            photo = photos[(number + len(latencies)) % len(photos)]
            began = time.monotonic()
            await page.set_input_files(FILES, photo)
            await page.wait_for_selector(".card", timeout=SECONDS * 1000)
            latencies.append(time.monotonic() - began)
            assert photo.name in await page.inner_text(".card")
            await page.get_by_text("Forget all photos").click()
            await page.wait_for_selector(".card", state="detached", timeout=SECONDS * 1000)
        await context.close()

    async def everybody() -> list[float]:
        async with async_playwright() as driver:
            browser = await driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            latencies: list[float] = []
            await asyncio.gather(*(person(browser, n, latencies) for n in range(CLIENTS)))
            await browser.close()
            return latencies

    with ThreadPoolExecutor(1) as thread:  # the other tests' browser has a loop in this one
        latencies = thread.submit(lambda: asyncio.run(everybody())).result()
    middle, slow, slowest = np.quantile(latencies, [0.5, 0.95, 1])
    print(
        f"\n{len(latencies)} photos by {CLIENTS} people in {SECONDS} s: median {middle:.2f} s, "
        f"95% {slow:.2f} s, slowest {slowest:.2f} s"
    )
    assert len(latencies) >= CLIENTS
    assert slowest < SECONDS
