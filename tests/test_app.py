"""The desk in a real browser: headless Chromium, driven by Playwright, with real photos."""

import asyncio
import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from captioning.app import folder_watch
from tests.conftest import ROOT
from tests.desks import Served, process, served, until
from tests.sample_photos import make_photos

MISSING = [name for name in ("starlette", "playwright") if find_spec(name) is None]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    MISSING.append("Chromium on the path")
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"wants {', '.join(MISSING)}")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
ARGUMENTS += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
FILES = "#files"
CLIENTS, SECONDS = 8, 60
PHOTOS = 20
CHOSEN = ".row.is-chosen"

# Pages are asked again and again (`until`): their policy forbids Playwright's wait_for_function.
Page = Any
"""Playwright's page; its package is optional."""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A desk with photos in a folder, all of them captioned; tests leave them to do."""
    folder = tmp_path_factory.mktemp("desk") / "photos"
    make_photos(folder, PHOTOS)
    with served(folder, folder / "captions.sqlite") as found:
        found.captioned()
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Any, desk: Served) -> Iterator[Page]:
    """The desk's page in a browser of its own; afterwards nothing is decided."""
    faults: list[str] = []
    with browser.new_context(permissions=["camera"]) as context:
        opened = context.new_page()
        opened.on("pageerror", lambda error: faults.append(str(error)))
        show(opened, desk.url)
        yield opened
    for row in desk.rows():
        if row["state"] != "todo":
            desk.decide(row["number"], "todo")
    assert not faults


def show(page: Page, url: str) -> Page:
    page.set_default_timeout(90_000)  # milliseconds: the machine may be busy
    page.goto(url)
    page.wait_for_selector(f"{CHOSEN}:visible, #samples button:visible")
    return page


def chosen(page: Page) -> str:
    """The name of the chosen photo."""
    return page.inner_text(f"{CHOSEN} .facts").split(" · ")[0]


def caption(page: Page) -> str:
    return page.inner_text(f"{CHOSEN} .caption")


def known(page: Page, number: int) -> str | None:
    """The caption of a photo that the page has from the server; a draft may cover it."""
    rows = "import('/page/store.js').then((found) => found.store.rows"
    return page.evaluate(f"(number) => {rows}.get(number).caption)", number)


def row_of(desk: Served, name: str) -> dict[str, Any]:
    return next(row for row in desk.rows() if row["name"] == name)


def test_the_least_sure_come_first_or_by_name(page: Page, desk: Served) -> None:
    by_score = sorted(desk.rows(), key=lambda row: row["score"])
    names = page.locator(".row .facts").all_inner_texts()
    assert [name.split(" · ")[0] for name in names] == [r["name"] for r in by_score][: len(names)]
    assert chosen(page) == by_score[0]["name"]
    page.locator("#settings summary").click()
    page.select_option("#order", "name")
    assert page.locator(".row .facts").first.inner_text().startswith("photo 000.jpg")


def test_a_run_by_keyboard_alone(page: Page, desk: Served) -> None:
    first, first_caption = chosen(page), caption(page)
    page.keyboard.press("Enter")
    second = chosen(page)
    assert second != first
    page.wait_for_selector("#best li:nth-child(2)")
    best = page.inner_text("#best li:nth-child(2) button span")
    page.keyboard.press("2")
    until(lambda: chosen(page) != second)
    third = chosen(page)
    page.keyboard.press("e")
    page.keyboard.press("Control+a")
    page.keyboard.type("My own words")
    page.keyboard.press("Enter")
    fourth = chosen(page)
    page.keyboard.press("d")
    fifth = chosen(page)
    page.keyboard.press("s")
    assert len({first, second, third, fourth, fifth, chosen(page)}) == 6
    until(lambda: row_of(desk, fifth)["state"] == "skipped")
    found = [row_of(desk, name) for name in (first, second, third, fourth)]
    assert [(row["state"], row["caption"]) for row in found] == [
        ("approved", first_caption),
        ("approved", best),
        ("edited", "My own words"),
        ("decorative", None),
    ]
    for name in (fifth, fourth, third, second, first):
        page.keyboard.press("Control+z")
        until(lambda: row_of(desk, name)["state"] == "todo")  # noqa: B023
    until(lambda: chosen(page) == first)
    page.keyboard.press("ArrowDown")
    assert chosen(page) == second
    page.keyboard.press("ArrowUp")
    page.keyboard.press("End")
    page.keyboard.press("Home")
    assert chosen(page) == first
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keys").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("photo 007")
    until(lambda: page.locator(".row:not(.is-chosen)").count() <= 1)
    page.keyboard.press("Enter")
    assert chosen(page) == "photo 007.jpg"
    assert page.evaluate("document.activeElement.className").startswith("caption")


def test_what_is_known_of_a_photo_comes_with_its_best_captions(page: Page, desk: Served) -> None:
    """The answer for one photo may come before the list hears of its captions."""
    name = chosen(page)
    forget = """(number) => import('/page/store.js').then(({ store }) => {
        const row = store.rows.get(number);
        const before = { score: null, said: null, familiar: null, revision: row.revision - 1 };
        store.rows.set(number, { ...row, ...before });
    })"""
    page.evaluate(forget, row_of(desk, name)["number"])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.wait_for_selector("#best li")
    assert chosen(page) == name
    assert "sure" in page.inner_text("#facts") and "familiar" in page.inner_text("#facts")
    assert caption(page) == row_of(desk, name)["said"]


def test_two_undos_end_where_the_first_decision_was(page: Page, desk: Served) -> None:
    """The answer to the first undo comes after that to a second one, if they are asked at once."""
    first = chosen(page)
    page.keyboard.press("Enter")
    second = chosen(page)
    page.keyboard.press("Enter")
    until(lambda: row_of(desk, second)["state"] == "approved")
    page.evaluate(
        """() => {
            const real = window.fetch;
            window.undos = 0; // asked
            window.answers = 0; // that the page has read
            window.fetch = async (...given) => {
                if (!String(given[0]).includes("/desk/undo")) return real(...given);
                const isFirst = window.undos++ === 0;
                const answer = await real(...given);
                if (isFirst) await new Promise((done) => setTimeout(done, 700));
                const found = await answer.json();
                answer.json = async () => {
                    window.answers += 1;
                    return found;
                };
                return answer;
            };
        }"""
    )
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    until(lambda: page.evaluate("window.answers") == 2)
    assert [row_of(desk, name)["state"] for name in (first, second)] == ["todo", "todo"]
    assert chosen(page) == first


def test_letters_can_be_turned_off(page: Page, desk: Served) -> None:
    page.locator("#settings summary").click()
    page.uncheck("#letters")
    page.locator("#settings summary").click()
    page.locator(f"{CHOSEN} .caption").focus()
    name = chosen(page)
    for key in ("d", "s", "1", "e", "?"):
        page.keyboard.press(key)
    assert chosen(page) == name and page.locator("textarea").count() == 0
    assert row_of(desk, name)["state"] == "todo"


def test_words_show_where_the_decoder_looked_and_another_one_goes_on(
    page: Page, desk: Served
) -> None:
    name, before = chosen(page), caption(page)
    page.wait_for_selector("#words button")
    assert page.locator("#words button").all_inner_texts() == before.split()
    page.locator("#words button").nth(1).hover()
    assert "looked at:" in page.inner_text("#choices")
    light = "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v > 100)"
    assert page.locator("#light").evaluate(light)
    other = page.locator("#choices button").first.inner_text().split()[0]
    page.locator("#choices button").first.click()
    until(lambda: other in page.inner_text("#note"))
    assert caption(page).split()[:2] == [before.split()[0], other]
    page.reload()  # it isn't approved, and it isn't lost
    page.wait_for_selector(CHOSEN)
    assert caption(page).split()[1] == other
    page.keyboard.press("Enter")
    until(lambda: row_of(desk, name)["caption"])
    assert row_of(desk, name)["caption"].split()[1] == other


def test_words_by_keyboard(page: Page) -> None:
    page.wait_for_selector("#words button")
    page.keyboard.press("w")
    page.keyboard.press("ArrowRight")
    second = page.locator("#words button").nth(1)
    assert second.evaluate("b => b === document.activeElement")
    assert second.get_attribute("aria-expanded") == "true"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.closest('#choices') !== null")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.closest('.row') !== null")


def test_what_is_typed_survives_a_reload_and_moving_away(page: Page) -> None:
    name = chosen(page)
    page.keyboard.press("e")
    page.keyboard.type(" and more")
    page.locator(".row:not(.is-chosen) .caption").first.click()
    assert chosen(page) != name
    page.reload()
    page.wait_for_selector(CHOSEN)
    row = page.locator(".row", has_text=name)
    assert "and more" in row.inner_text() and "draft" in row.inner_text()


def test_two_people_see_each_other_and_both_edits_are_kept(
    browser: Any, page: Page, desk: Served
) -> None:
    name = chosen(page)
    page.locator("#settings summary").click()
    page.fill("#person", "Ann")
    page.locator("#settings summary").click()
    page.locator(f"{CHOSEN} .caption").focus()
    page.keyboard.press("e")
    page.keyboard.press("Control+a")
    page.keyboard.type("The words of Ann")
    with browser.new_context() as context:
        other = show(context.new_page(), desk.url)
        assert chosen(other) == name
        other.keyboard.press("e")
        other.keyboard.press("Control+a")
        other.keyboard.type("The words of Bob")
        other.keyboard.press("Enter")
        until(lambda: row_of(desk, name)["caption"] == "The words of Bob")
        until(lambda: known(page, row_of(desk, name)["number"]) == "The words of Bob")
        page.keyboard.press("Enter")
        until(lambda: row_of(desk, name)["caption"] == "The words of Ann")
        other.locator(".row", has_text=name).locator(".caption").click()
        other.wait_for_selector("text=The words of Ann")
        other.wait_for_selector(".state >> text=two versions")
    page.locator(".row", has_text=name).locator(".caption").click()
    page.wait_for_selector("text=Somebody else wrote at the same time: “The words of Bob”")
    page.select_option("#show", "two")
    until(lambda: page.locator(".row").count() == 1)
    page.select_option("#show", "")
    page.get_by_text("Take this one").click()
    until(lambda: row_of(desk, name)["caption"] == "The words of Bob")
    assert row_of(desk, name)["rivals"] == []


def test_nothing_is_asked_of_another_host_and_tables_are_saved(page: Page, desk: Served) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    page.wait_for_selector("#words button")
    assert asked and all(url.startswith(desk.url) for url in asked)
    page.keyboard.press("Enter")
    until(lambda: any(row["state"] != "todo" for row in desk.rows()))
    page.locator("#out summary").click()
    with page.expect_download() as download:
        page.locator("a[data-kind=csv]").click()
    assert len(Path(download.value.path()).read_text("utf-8-sig").splitlines()) == 2
    page.uncheck("#approved-only")
    with page.expect_download() as download:
        page.locator("a[data-kind=jsonl]").click()
    assert len(Path(download.value.path()).read_text("utf-8").splitlines()) == PHOTOS


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_nothing(browser: Any, desk: Served, width: int, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    viewport = {"width": width, "height": 800}
    with browser.new_context(viewport=viewport, color_scheme=scheme) as context:
        page = show(context.new_page(), desk.url)
        page.wait_for_selector("#words button")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        page.locator("#words button").nth(1).focus()
        for open_something in (
            lambda: None,
            lambda: page.locator("#settings summary").click(),
            lambda: page.locator("#out summary").click(),
            lambda: (page.locator(f"{CHOSEN} .caption").focus(), page.keyboard.press("e")),
            lambda: (page.keyboard.press("Escape"), page.keyboard.press("?")),
        ):
            open_something()
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()


def test_a_screen_reader_hears_what_is_there(page: Page) -> None:
    page.wait_for_selector("#words button")
    page.wait_for_selector("#best li")
    tree = page.locator("body").aria_snapshot()
    for part in (
        'heading "Captions" [level=1]',
        'searchbox "Search captions and names"',
        'region "Photos"',
        'region "The chosen photo"',
        'group "The words of the caption"',
        'list "The model\'s best captions"',
        'button "Approve Enter"',
    ):
        assert part in tree, f"{part} is missing in\n{tree}"
    current = page.locator(CHOSEN)
    assert current.get_attribute("aria-setsize") == str(PHOTOS)
    assert current.get_attribute("aria-posinset") == "1"
    label = current.locator(".caption").get_attribute("aria-label")
    assert caption(page) in label and "to do" in label and "sure" in label
    stops = page.locator(".row [tabindex='0']").count()
    assert stops == 1, "the tab key passes the list in one step"


def test_an_empty_page_shows_samples_and_takes_photos(browser: Any, tmp_path: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe

    with (
        served(None, tmp_path / "p.sqlite") as desk,
        browser.new_context(permissions=["camera"]) as context,
    ):
        page = show(context.new_page(), desk.url)
        assert Axe().run(page).violations_count == 0
        page.get_by_role("button", name="cat").click()
        # The best captions come with what is known of the photo, not before the list has it.
        page.wait_for_selector("#best li")
        assert chosen(page) == "cat.jpg"
        assert "unlike those" in page.inner_text("#problem")
        (tmp_path / "<b>notes.txt").write_text("no photo")
        page.set_input_files(FILES, [tmp_path / "<b>notes.txt", ROOT / "samples" / "rocket.jpg"])
        page.wait_for_selector("text=notes.txt was refused: not an image")
        assert page.locator("#note b").count() == 0
        page.wait_for_selector(".row >> nth=1")
        page.locator("#webcam").click()
        until(lambda: page.locator("video").evaluate("video => video.videoWidth > 0"))
        page.locator("#shoot").click()
        until(lambda: chosen(page).startswith("webcam "))
        page.wait_for_selector(".row >> nth=2")
        page.once("dialog", lambda dialog: dialog.accept())
        page.locator("[data-deed=remove]").click()
        page.wait_for_selector(".row >> nth=2", state="detached")
        page.reload()
        page.wait_for_selector(".row >> nth=1")
        assert sorted(row["name"] for row in desk.rows()) == ["cat.jpg", "rocket.jpg"]


def test_after_a_kill_the_page_goes_on_where_it_was(browser: Any, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    make_photos(folder, 4)
    with browser.new_context() as context:
        page = context.new_page()
        with process(folder, cwd=tmp_path) as (server, url):
            show(page, url)
            # Before all have captions the list may still be sorted anew.
            until(lambda: page.inner_text("#progress") == "0 of 4 decided")
            page.wait_for_selector("#best li")
            name = chosen(page)
            page.keyboard.press("Enter")
            page.wait_for_selector(".state.approved")
            server.kill()
        page.wait_for_selector("text=The desk doesn't answer")
        with process(folder, cwd=tmp_path) as (server, url):
            show(page, url)
            assert "approved" in page.locator(".row", has_text=name).inner_text()
            assert chosen(page) != name
            server.terminate()
            assert server.wait(60) == 130, (tmp_path / "log").read_text()
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_another_folder_at_the_same_address_shows_its_own_photos_and_drafts(
    browser: Any, tmp_path: Path
) -> None:
    """The numbers of photos are the same, and the browser keeps pictures and drafts."""
    for name, sample in (("one", "cat"), ("two", "rocket")):
        (tmp_path / name).mkdir()
        shutil.copy(ROOT / "samples" / f"{sample}.jpg", tmp_path / name / "photo.jpg")
    sizes: list[Any] = []
    port = 0
    with browser.new_context() as context:
        for name in ("one", "two", "one"):
            with served(tmp_path / name, tmp_path / f"{name}.sqlite", port=port) as desk:
                port = desk.port
                desk.captioned()
                page = show(context.new_page(), desk.url)
                large = "(({naturalWidth: w, naturalHeight: h}) => w / h)"
                shown = "document.getElementById('large').naturalWidth > 0"
                until(lambda: page.evaluate(shown))  # noqa: B023
                sizes.append(page.evaluate(f"{large}(document.getElementById('large'))"))
                if len(sizes) == 1:
                    page.keyboard.press("e")
                    page.keyboard.type(" and a draft")
                    kept = "Object.keys(localStorage).some((key) => /draft/.test(key))"
                    until(lambda: page.evaluate(kept))  # noqa: B023
                else:
                    assert caption(page).endswith("and a draft") == (name == "one")
                page.close()
    assert sizes[0] == sizes[2] != sizes[1], sizes


def test_a_chosen_photo_whose_file_goes_leaves_the_page(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_watch, "PAUSE", 0.1)
    folder = tmp_path / "photos"
    make_photos(folder, 2)
    with served(folder, tmp_path / "p.sqlite") as desk, browser.new_context() as context:
        desk.captioned()
        page = context.new_page()
        page.set_viewport_size({"width": 360, "height": 780})
        show(page, desk.url)
        approve = page.locator("[data-deed=approve]").bounding_box()
        list_begins = page.locator("#list").bounding_box()["y"]
        assert approve["y"] + approve["height"] <= list_begins, "it is there without scrolling"
        # The photo stays in sight beside the word that it is looked at for.
        page.wait_for_selector("#words button")
        page.locator("#words button").last.focus()
        light, word = (page.locator(place).bounding_box() for place in (".frame", "#words :focus"))
        assert light["y"] + light["height"] <= word["y"] + 1 and light["y"] >= 0
        page.fill("#search", "photo 001")
        page.keyboard.press("Enter")
        page.locator("#name", has_text="photo 001").wait_for()
        (folder / "photo 001.jpg").unlink()
        page.wait_for_selector("#none")
        assert not page.is_visible("#photo")
        page.fill("#search", "")
        page.locator(CHOSEN, has_text="photo 000").wait_for()
        assert page.is_visible("#photo") and not page.is_visible("#none")


def test_the_new_models_captions_are_compared_by_keyboard(browser: Any, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    make_photos(folder, 1)
    left = tmp_path / ".p-learning"
    (left / "model").mkdir(parents=True)
    pairs = [
        {"number": 1, "before": "a cat", "after": "a dog", "person": "my cat", "learned": False},
        {"number": 1, "before": "a cat", "after": "a cat", "person": "", "learned": True},
    ]
    (left / "result.json").write_text(json.dumps(pairs))
    with served(folder, tmp_path / "p.sqlite") as desk, browser.new_context() as context:
        desk.captioned()
        page = context.new_page()
        page.set_viewport_size({"width": 360, "height": 780})
        show(page, desk.url)
        page.focus("#settings summary")
        page.keyboard.press("Enter")
        page.focus("#learn")
        page.keyboard.press("Enter")
        page.locator("#pairs section").nth(1).wait_for()
        first, second = page.locator("#pairs section").all_inner_texts()
        assert "a dog" in first and "my cat" in first and "not trained on" in first
        assert "the same" in second
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        assert page.evaluate("document.querySelector('#learning').scrollWidth") <= 360
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        page.focus("#learn-discard")
        page.keyboard.press("Enter")
        page.locator("#learning-says", has_text="The new model was deleted.").wait_for()
        assert page.evaluate("document.activeElement.id") == "learning-close"
        page.keyboard.press("Escape")
        # A dialog's closing is told to the page in a later turn of its events.
        until(lambda: page.evaluate("document.activeElement.parentElement?.id") == "settings")
        assert not left.exists()


@pytest.mark.nightly
def test_eight_people_at_once_for_a_minute(desk: Served) -> None:
    """Each goes through the photos, approving and editing; latencies are printed."""
    from playwright.async_api import async_playwright

    async def person(browser: Any, number: int, latencies: list[float]) -> None:
        context = await browser.new_context()
        page = await context.new_page()
        await page.goto(desk.url)
        await page.wait_for_selector(CHOSEN)
        end, count = time.monotonic() + SECONDS, 0
        while time.monotonic() < end:
            count += 1
            rows = await page.evaluate("fetch('/desk/changes').then(r => r.json())")
            row = rows["rows"][(number * 7 + count) % PHOTOS]
            began = time.monotonic()
            body = json.dumps(
                {
                    "state": "edited",
                    "caption": f"{number} says {count}",
                    "revision": row["revision"],
                    "client": f"p{number}",
                    "person": f"P{number}",
                }
            )
            await page.evaluate(
                "([n, body]) => fetch(`/desk/photos/${n}`, {method: 'POST', body})"
                ".then(r => r.json())",
                [row["number"], body],
            )
            await page.evaluate(
                "n => fetch(`/desk/photos/${n}/words?caption=a+dog+runs`).then(r => r.json())",
                row["number"],
            )
            latencies.append(time.monotonic() - began)
            await page.wait_for_timeout(200)
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
        f"\n{len(latencies)} captions edited and explained by {CLIENTS} people in {SECONDS} s: "
        f"median {middle:.2f} s, 95% {slow:.2f} s, slowest {slowest:.2f} s"
    )
    assert len(latencies) >= CLIENTS
    assert slowest < SECONDS
