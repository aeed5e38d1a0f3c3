"""The pictures of docs/app.md: docs/desk_pictures.py; --keep FOLDER keeps each screen as well.

desk-states-1440.webp, desk-states-360.webp: the desk in each of its states, at two widths;
desk-film.webp: a run through fifty photos by keyboard, numbered, with the key that was pressed. Its
photos are the samples and parts of them. How long the run took is printed.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # the project, instead of this file's folder

from tests.desks import Served, served, until
from tests.sample_photos import make_photos

CHOSEN = ".row.is-chosen"
FIFTY = 50
WORDS = "A cat on the grass, looking up"

Page = Any


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--keep", type=Path, help="a folder for every screen as PNG")
    parser.add_argument("--only", choices=["states", "film"], help="these pictures alone")
    return parser.parse_args()


def settled(page: Page) -> None:
    """Wait until the chosen photo's best captions, words and picture are there."""
    page.wait_for_selector("#best li")
    page.wait_for_selector("#words button")
    until(lambda: page.evaluate("document.getElementById('large').complete"))


def at_a_word(page: Page) -> None:
    """Point at the second word."""
    settled(page)
    page.locator("#words button").nth(1).hover()
    page.wait_for_selector("#choices:visible")


def edited(page: Page) -> None:
    """Write in the chosen row."""
    settled(page)
    page.keyboard.press("e")
    page.keyboard.press("Control+a")
    page.keyboard.type(WORDS)


def shown_alone(show: str, text: str) -> Callable[[Page], None]:
    """Show some photos alone, and choose the one that says this."""

    def choose(page: Page) -> None:
        page.select_option("#show", show)
        page.locator(".row", has_text=text).first.click()
        page.locator(CHOSEN, has_text=text).wait_for()

    return choose


def unreadable(page: Page) -> None:
    """Choose the file that isn't a photo."""
    page.fill("#search", "broken.jpg")
    page.keyboard.press("Enter")
    page.locator(CHOSEN, has_text="broken.jpg").wait_for()
    page.fill("#search", "")


def opened(menu: str) -> Callable[[Page], None]:
    """Open one of the two menus."""
    return lambda page: page.locator(f"{menu} summary").click()


STATES: dict[str, Callable[[Page], None]] = {
    "to do": settled,
    "a word: where the decoder looked, what else it could have said": at_a_word,
    "a caption is written": edited,
    "unlike the training photos": shown_alone("unlike", "unlike"),
    "two wrote at once": shown_alone("two", "two versions"),
    "a file that can't be read": unreadable,
    "what leaves the desk": opened("#out"),
    "settings": opened("#settings"),
    "the keys": lambda page: page.keyboard.press("?"),
}
"""By what is to be seen, how it is reached from a page that was just opened."""


def decide_some(desk: Served) -> None:
    """Leave a photo in each state, and one with two versions."""
    rows = [row for row in desk.rows() if row["said"]]
    for row, state in zip(
        rows[1:], ["approved", "edited", "decorative", "skipped", "approved"], strict=False
    ):
        desk.decide(row["number"], state, WORDS if state == "edited" else row["said"] or "")
    number = rows[7]["number"]
    seen = desk.ask(f"/desk/photos/{number}")["revision"]
    for person in ("Ann", "Bob"):
        words = {"client": person, "person": person, "revision": seen}
        desk.decide(number, "edited", f"The words of {person}", **words)


def show_states(browser: Any, keep: Path, width: int) -> list[tuple[str, Path]]:
    """A screen of each state: (what it shows, file)."""
    screens = []
    height = 900 if width > 1000 else 780

    @contextmanager
    def page_of(url: str, scheme: str = "light") -> Any:
        viewport = {"width": width, "height": height}
        with browser.new_context(viewport=viewport, color_scheme=scheme) as context:
            page = context.new_page()
            page.goto(url)
            page.wait_for_selector(f"{CHOSEN}:visible, #samples button:visible")
            yield page

    def take(page: Page, name: str) -> None:
        file = keep / f"{width} {len(screens) + 1:02}.png"
        page.wait_for_timeout(700)  # pictures of rows, and what fades
        page.screenshot(path=file)
        screens.append((name, file))

    with (
        tempfile.TemporaryDirectory() as folder,
        served(None, Path(folder) / "p.sqlite") as desk,
        page_of(desk.url) as page,
    ):
        take(page, "nothing yet: drop photos, or try a sample")
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "holiday"
        make_photos(photos, 30)
        (photos / "broken.jpg").write_text("no photo")
        with served(photos, Path(folder) / "p.sqlite") as desk:
            with page_of(desk.url) as page:
                until(lambda: desk.desk.background.progress().done >= 8)
                page.wait_for_selector(".facts >> text=sure")
                take(page, "captions come in the background")
            desk.captioned()
            decide_some(desk)
            for name, reach in STATES.items():
                with page_of(desk.url) as page:
                    reach(page)
                    take(page, name)
            with page_of(desk.url, "dark") as page:
                at_a_word(page)
                take(page, "in the dark")
    return screens


def press(page: Page, number: int) -> str:
    """Decide on the photo of this number as a person might; what was pressed."""
    if number % 10 == 9:
        page.wait_for_selector("#best li:nth-child(2)")
        page.keyboard.press("2")
        return "2"
    if number % 10 == 4:
        page.keyboard.press("e")
        page.keyboard.press("Control+a")
        page.keyboard.type(f"My own words for photo {number + 1}")
        page.keyboard.press("Enter")
        return "E, own words, Enter"
    key = {17: "d", 32: "s"}.get(number, "Enter")
    page.keyboard.press(key)
    return key.upper() if len(key) == 1 else key


def show_run(browser: Any, keep: Path) -> list[tuple[str, Path]]:
    """A run through fifty photos: (its number and the key, the screen before it)."""
    screens = []
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "fifty"
        make_photos(photos, FIFTY)
        with served(photos, Path(folder) / "p.sqlite") as desk:
            desk.captioned()
            page = browser.new_page(viewport={"width": 1000, "height": 640})
            page.goto(desk.url)
            page.wait_for_selector(CHOSEN)
            spent = 0.0
            for number in range(FIFTY):
                settled(page)
                file = keep / f"film {number + 1:02}.png"
                page.screenshot(path=file)
                name, began = page.inner_text(f"{CHOSEN} .facts"), time.monotonic()
                pressed = press(page, number)
                if number < FIFTY - 1:
                    until(lambda: page.inner_text(f"{CHOSEN} .facts") != name)  # noqa: B023
                spent += time.monotonic() - began
                screens.append((f"{number + 1}  {pressed}", file))
            decided = FIFTY - 1  # one was skipped
            until(lambda: page.inner_text("#progress") == f"{decided} of {FIFTY} decided")
            page.close()
    print(f"{FIFTY} photos by keyboard: {spent:.1f} s from the keys to the next photos")
    return screens


def sheet(screens: list[tuple[str, Path]], columns: int, width: int, file: Path) -> None:
    """All screens on one picture, each with its number or name above."""
    font = ImageFont.load_default(15)
    pictures = []
    for _, path in screens:
        with Image.open(path) as image:
            height = round(image.height * width / image.width)
            pictures.append(image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS))
    step, line = pictures[0].height + 34, -(-len(screens) // columns)
    whole = Image.new("RGB", (columns * (width + 12) + 12, line * step + 12), "#6b7280")
    draw = ImageDraw.Draw(whole)
    for place, ((name, _), picture) in enumerate(zip(screens, pictures, strict=True)):
        x, y = 12 + place % columns * (width + 12), 6 + place // columns * step
        draw.text((x, y), fitting(name, font, width), "white", font)
        whole.paste(picture, (x, y + 22))
    whole.save(file, quality=62, method=6)
    print(f"{file.name}: {whole.size[0]} x {whole.size[1]}, {file.stat().st_size / 1000:.0f} KB")


def fitting(text: str, font: Any, width: int) -> str:
    """The text, cut where it is wider than its picture."""
    while font.getlength(text) > width:
        text = text.removesuffix(" ...").rsplit(" ", 1)[0] + " ..."
    return text


def main() -> None:
    """Make all of them."""
    options = parse_arguments()
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as scratch:
        keep = options.keep or Path(scratch)
        keep.mkdir(exist_ok=True)
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        if options.only != "film":
            for width, columns, shown in ((1440, 3, 560), (360, 6, 250)):
                screens = show_states(browser, keep, width)
                sheet(screens, columns, shown, ROOT / "docs" / f"desk-states-{width}.webp")
        if options.only != "states":
            sheet(show_run(browser, keep), 5, 400, ROOT / "docs" / "desk-film.webp")
        browser.close()


if __name__ == "__main__":
    main()
