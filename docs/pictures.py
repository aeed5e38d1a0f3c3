"""The README's pictures: docs/pictures.py --wrong grass.jpg hopper.jpg galaxies.jpg --report FILE

samples.jpg: the sample photos with the shipped model's captions; those of --wrong, which only a
person can know, are marked. app.jpg and report.jpg: what Chromium shows of the app with these
photos, and of a report that evaluate.py wrote.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parent.parent
sys.path[0] = str(ROOT)  # the project, instead of this file's folder

from captioning import load
from captioning.errors import CaptioningError
from captioning.inference.familiarity import is_unfamiliar
from captioning.inference.models import SHIPPED, samples_folder, shipped_folder

WIDTH = 1280
"""Of the pictures, in pixels."""


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--photos", nargs="+", metavar="NAME", help="samples to show (default: all of them)")
    add("--wrong", nargs="*", default=[], metavar="NAME", help="samples that are captioned wrongly")
    add("--report", type=Path, help="a report of evaluate.py")
    return parser.parse_args()


def draw_samples(photos: list[Path], wrong: list[str], file: Path) -> None:
    """A sheet of the photos with their captions."""
    from captioning.pictures.contact_sheet import contact_sheet
    from captioning.pictures.figures import save_figure

    captions = list(load(shipped_folder() / SHIPPED[0]).caption(photos))
    marks = "".join(
        "x" if c.image.name in wrong else "?" if is_unfamiliar(c.familiar) else "."
        for c in captions
    )
    sheet = contact_sheet(
        [Image.open(c.image) for c in captions], [c.caption for c in captions], marks=marks
    )
    save_figure(sheet, file.with_suffix(".png"))
    as_jpeg(file.with_suffix(".png"), file)


def as_jpeg(picture: Path, file: Path) -> None:
    """A PNG as a JPEG of `WIDTH`, in its place."""
    with Image.open(picture) as image:
        height = round(image.height * WIDTH / image.width)
        image.convert("RGB").resize((WIDTH, height)).save(file, quality=85, optimize=True)
    picture.unlink()


def show_app(browser: Any, photos: list[Path], file: Path) -> None:
    """The desk with the photos in it, and where the decoder looked for a word."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "samples"
        place.mkdir()
        for photo in photos:
            shutil.copy(photo, place)
        command = [sys.executable, "app.py", place, "--port", "7877"]
        command += ["--model", f"models/{SHIPPED[0]}"]
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            for line in server.stdout or ():
                if re.search("http://127.0.0.1", line):
                    break
            page = browser.new_page(viewport={"width": WIDTH, "height": 800})
            page.goto("http://127.0.0.1:7877")
            page.locator("#best li").first.wait_for(timeout=120_000)
            while "captions:" in page.inner_text("#progress"):
                page.wait_for_timeout(500)
            page.get_by_text("rocket.jpg").first.click()
            page.locator("#words button").nth(1).hover()
            page.wait_for_timeout(1000)
            page.screenshot(path=file.with_suffix(".png"))
        finally:
            server.terminate()
            server.wait()
    as_jpeg(file.with_suffix(".png"), file)


def show_report(browser: Any, report: Path, file: Path) -> None:
    """The top of a report."""
    page = browser.new_page(viewport={"width": WIDTH, "height": 1100})
    page.goto(report.resolve().as_uri())
    page.screenshot(path=file.with_suffix(".png"))
    as_jpeg(file.with_suffix(".png"), file)


def main() -> None:
    """Draw all of them."""
    options = parse_arguments()
    from playwright.sync_api import sync_playwright

    docs, samples = ROOT / "docs", samples_folder()
    names = options.photos or [path.name for path in sorted(samples.glob("*.jpg"))]
    photos = [samples / name for name in names]
    if missing := [path.name for path in photos if not path.is_file()]:
        raise CaptioningError(f"{samples} has no {', '.join(missing)}")
    draw_samples(photos, options.wrong, docs / "samples.jpg")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        show_app(browser, photos, docs / "app.jpg")
        if options.report:
            show_report(browser, options.report, docs / "report.jpg")
        browser.close()


if __name__ == "__main__":
    main()
