"""The page of --explain: the words, what else they could have been, and the beam as a tree."""

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from captioning.data.text import END, START
from captioning.inference.beam_tree import BeamRecord, Branch
from captioning.inference.search import beam_search
from captioning.inference.settings import DecodingSettings
from captioning.pictures.tree_figure import draw_tree
from tests.conftest import ROOT, Run, script
from tests.test_app import ARGUMENTS, CHROMIUM
from tests.test_search import random_tables, start_state, table_step

CAT = ROOT / "samples" / "cat.jpg"


def paths(branch: Branch) -> list[tuple[tuple[int, ...], float, int]]:
    """(tokens, probability of all of them, rank) of each leaf, the root left out."""
    if not branch.children:
        return [((branch.token,), branch.probability, branch.rank)]
    return [
        ((branch.token, *tokens), branch.probability * share, rank)
        for child in branch.children
        for tokens, share, rank in paths(child)
    ]


def test_the_tree_holds_all_that_the_beam_found_with_its_probabilities() -> None:
    settings = DecodingSettings(max_words=5, beam=3, length_power=0.7)
    record = BeamRecord()
    tables = random_tables(1, seed=4)
    (found,) = beam_search(table_step(tables), start_state(1), 1, settings, None, record.watch)
    assert found == beam_search(table_step(tables), start_state(1), 1, settings)[0]
    leaves = paths(record.tree(START, found, 3))
    finished = sorted(leaf for leaf in leaves if leaf[2])
    assert sorted(rank for _, _, rank in finished) == list(range(1, len(found) + 1))
    for tokens, share, rank in finished:
        assert tokens == (START, *found[rank - 1].tokens, END)
        assert np.log(share) == pytest.approx(found[rank - 1].log_probability, abs=1e-4)
    given_up = [tokens for tokens, _, rank in leaves if not rank]
    assert given_up and all(END not in tokens for tokens in given_up)


def test_a_narrow_tree_still_reaches_the_best() -> None:
    settings = DecodingSettings(max_words=5, beam=4)
    record = BeamRecord()
    tables = random_tables(1, seed=5)
    (found,) = beam_search(table_step(tables), start_state(1), 1, settings, None, record.watch)
    leaves = paths(record.tree(START, found, 1))
    assert [tokens for tokens, _, rank in leaves if rank == 1] == [(START, *found[0].tokens, END)]
    assert max(rank for _, _, rank in leaves) == 1


def test_no_word_of_the_drawing_lies_over_another() -> None:
    leaf = Branch(2, 0.5, 1)
    words = {0: "<start>", 1: "a", 2: "<end>", 3: "skateboarding", 4: "<b>&"}
    tree = Branch(0, 1, 0, [Branch(1, 0.9, 0, [leaf, Branch(3, 0.001)]), Branch(4, 0.1)])
    svg = draw_tree(tree, words.__getitem__, "what it kept")
    texts = re.findall(r'<text class="([^"]*)" x="(\d+)" y="(\d+)">([^<]*)<title>([^<]*)', svg)
    assert {(t, kind) for kind, _, _, t, _ in texts} == {
        ("&lt;start&gt;", "best"),
        ("a", "best"),
        ("1.", "best"),
        ("skateboarding", "given-up"),
        ("&lt;b&gt;&amp;", "given-up"),
    }
    assert ("skateboarding: &lt;1%") in [title for *_, title in texts]
    boxes = [(int(x), int(y), int(x) + 7.3 * len(unescape(t))) for _, x, y, t, _ in texts]
    for place, (left, y, _) in enumerate(boxes):
        for other_left, other_y, other_right in boxes[:place] + boxes[place + 1 :]:
            assert y != other_y or not other_left <= left <= other_right


class Page(HTMLParser):
    """What of a page a test looks at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = dict(attrs)
        self.images += [own] * (tag == "img")
        self.links += [v for k, v in attrs if k in ("src", "href") and v]


@pytest.mark.skipif(CHROMIUM is None, reason="wants chromium")
def test_axe_finds_nothing_on_the_page_and_it_fits_a_phone(
    run_caption: Run, tmp_path: Path
) -> None:
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    path = tmp_path / "cat.html"
    model = ROOT / "models" / "flickr8k"
    assert run_caption(CAT, "--explain", path, "--model", model)[0] == 0
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for width, scheme in ((1440, "light"), (360, "dark")):
            page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") == width
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
        browser.close()


def test_a_page_of_a_caption_without_tensorflow(tmp_path: Path) -> None:
    page = tmp_path / "cat.html"
    command = ("caption_generator.py", CAT, "--model", "models/flickr8k", "--explain", page)
    done = script(*command)
    assert done.returncode == 0, done.stderr
    caption = done.stdout.strip()
    text = page.read_text(encoding="utf-8")
    found = Page(text)
    assert all(link.startswith("data:image/jpeg;base64,") for link in found.links)
    words = caption.split()
    assert [image["alt"] for image in found.images][0] == caption
    assert len(found.images) == 1 + len(words)
    for word, image in zip(words, found.images[1:], strict=True):
        assert str(image["alt"]).startswith(f"{word}: looked at the ")
    assert re.findall(r"<h3>([^<]*)</h3>", text) == words
    assert text.count("<tr class=said>") == len(words)
    # The way to the caption is the one in the tree that is marked as the best.
    way = re.findall(r'<text class="best"[^>]*>([^<]*)<title>', text)
    assert sorted(way) == sorted(["&lt;start&gt;", *words, "1."])
    assert str(tmp_path) not in text and str(ROOT) not in text
    again = script(*command)
    assert again.returncode == 2 and "exists already" in again.stderr


def test_what_explain_refuses(run_caption: Run, tmp_path: Path) -> None:
    for more, why in (
        ((CAT, "--explain", tmp_path / "page.txt"), "does not end in .html"),
        ((ROOT / "samples", "--explain", tmp_path / "page.html"), "shows a single photo"),
        ((CAT, "--neutral", "--explain", tmp_path / "page.html"), "--neutral changes them"),
        ((CAT, "--dry-run", "--explain", tmp_path / "page.html"), "leave --attention, --explain"),
    ):
        code, _, messages = run_caption(*more, "--model", ROOT / "models" / "flickr8k")
        assert code == 2 and why in messages
    assert not list(tmp_path.iterdir())


def test_greedy_search_has_words_but_no_tree(run_caption: Run, tmp_path: Path) -> None:
    page = tmp_path / "cat.html"
    model = ROOT / "models" / "flickr8k"
    code, caption, _ = run_caption(CAT, "--explain", page, "--beam", "1", "--model", model)
    text = page.read_text(encoding="utf-8")
    assert code == 0 and f"<h1>{caption.strip()}</h1>" in text
    assert "<svg" not in text and "greedy search" in text
    assert text.count("<tr class=said>") == len(caption.split())
