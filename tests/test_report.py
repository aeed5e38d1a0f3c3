"""The report: one self-contained page, its charts, and the statistics on it."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioning.commands import evaluate
from captioning.data.prepared import read_prepared
from captioning.errors import CaptioningError
from captioning.evaluation.calibration import bin_by_confidence, rank_correlation
from captioning.evaluation.objects import object_words
from captioning.evaluation.predictions import read_inputs
from captioning.evaluation.report import human_scores
from captioning.inference.loading import load
from captioning.pictures.attention_maps import overlay_attention, region_name
from captioning.training.history import read_history
from tests.conftest import ROOT, script
from tests.test_app import ARGUMENTS, CHROMIUM


class Page(HTMLParser):
    """What a page is made of: (tag, attributes), and all its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module", params=["transformer", "merge"])
def report(
    request: pytest.FixtureRequest,
    grids_folder: Path,
    grids_models: dict[str, Path],
    scenes_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, Path, Path]:
    """Decoder, its folder, and the report of it, by evaluate.py itself."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    model = grids_models[request.param]
    done = script(
        "evaluate.py",
        "--model",
        model,
        "--data",
        grids_folder,
        "--no-meteor",
        "--report",
        path,
        "--photos",
        scenes_folder / "Flicker8k_Dataset",
    )
    assert done.returncode == 0, done.stderr
    return request.param, model, path


def test_a_report_is_one_page_without_network(report: tuple) -> None:
    decoder, _, path = report
    page = Page(path)
    assert path.stat().st_size < 10_000_000
    assert not {tag for tag, _ in page.tags} & {"link", "iframe", "object", "embed", "form", "base"}
    assert page.all("script") == [{}], "one script, inside the page"
    (policy,) = (meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    script = re.search(r"<script>(.*)</script>", path.read_text(encoding="utf-8"), re.DOTALL)[1]
    own = b64encode(sha256(script.encode()).digest()).decode()
    assert "default-src 'none'; img-src data:;" in policy
    assert f"script-src 'sha256-{own}';" in policy, "no other script runs"
    pictures = page.all("img")
    assert all(one["src"].startswith("data:image/jpeg;base64,") for one in pictures)
    references = [v for _, own in page.tags for k, v in own.items() if k.endswith("href")]
    assert all(r.startswith(("#", "https://arxiv.org/")) for r in references)
    assert "url(" not in path.read_text(encoding="utf-8").replace("url(#", "")
    assert ("attends most to the" in str(pictures)) == (decoder == "transformer")


def test_a_report_is_accessible_to_screen_readers(report: tuple) -> None:
    page = Page(report[2])
    assert page.all("html")[0]["lang"] == "en"
    # In the table of all photos each has its name beside it.
    assert all(picture["alt"] for picture in page.all("img") if "decoding" not in picture)
    assert all(drawing["role"] == "img" and drawing["aria-label"] for drawing in page.all("svg"))
    assert all(head["scope"] in ("row", "col") for head in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table"))
    levels = [int(tag[1]) for tag, _ in page.tags if tag in ("h1", "h2", "h3")]
    assert levels[0] == 1
    assert max(np.diff(levels)) == 1
    ids = [own["id"] for _, own in page.tags if "id" in own]
    assert len(ids) == len(set(ids))


@pytest.mark.skipif(CHROMIUM is None, reason="wants chromium")
def test_a_report_fits_a_phone_and_is_legible_in_dark_mode(report: tuple) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 360, "height": 800}, color_scheme=scheme)
            page.goto(report[2].as_uri())
            page.get_by_text("Every epoch as a table").click()
            assert page.locator("#tools").is_visible(), "its script runs"
            assert page.evaluate("document.documentElement.scrollWidth") == 360
            ink, paper = (
                [
                    int(v)
                    for v in re.findall(
                        r"\d+", page.evaluate(f"getComputedStyle(document.body).{what}")
                    )
                ][:3]
                for what in ("color", "backgroundColor")
            )
            assert abs(np.mean(ink) - np.mean(paper)) > 180
            assert (np.mean(paper) < 128) == (scheme == "dark")
        browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason="wants chromium")
def test_all_photos_can_be_sorted_and_filtered_by_keyboard_or_are_a_plain_table(
    report: tuple,
) -> None:
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    rows = [json.loads(line) for line in (report[1] / "predictions.jsonl").open()]
    names = [row["photo"] for row in rows]
    cells = """(place) => [...document.querySelectorAll("#all-rows tbody tr")]
        .filter((row) => row.checkVisibility()).map((row) => row.cells[place].innerText.trim())"""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page()
        page.goto(report[2].as_uri())
        assert page.evaluate(cells, 0) == sorted(names)
        head = page.locator("#all-rows thead th").filter(has_text=re.compile(r"^\s*CIDEr"))
        place = head.evaluate("head => head.cellIndex")
        ciders = [f"{row['CIDEr']:.1f}" for row in sorted(rows, key=lambda row: row["CIDEr"])]
        head.locator("button").focus()
        for way, wanted in (("ascending", ciders), ("descending", ciders[::-1])):
            page.keyboard.press("Enter")
            assert head.get_attribute("aria-sort") == way
            assert page.evaluate(cells, place) == wanted
        assert page.locator("#all-rows [aria-sort]").count() == 1
        assert page.evaluate("document.activeElement.textContent") == "CIDEr"
        page.fill("#search", f" {names[3].upper()} ")
        assert page.evaluate(cells, 0) == [names[3]]
        assert page.inner_text("#count") == f"1 of {len(rows):,} photos"
        page.fill("#search", "")
        page.check("#marked-only")
        marked = page.locator("#all-rows tbody tr:has(mark)").count()
        assert len(page.evaluate(cells, 0)) == marked
        assert page.inner_text("#count").startswith(f"{marked} of")
        page.uncheck("#marked-only")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        plain = browser.new_page(java_script_enabled=False)
        plain.goto(report[2].as_uri())
        assert plain.locator("#all-rows tbody tr").count() == len(rows)
        assert not plain.locator("#tools").is_visible() and plain.locator("button").count() == 0
        browser.close()


def test_a_report_shows_what_was_scored(report: tuple) -> None:
    _, model, path = report
    text = " ".join(Page(path).text.split())
    scores = json.loads((model / "scores.json").read_text())["scores"]
    for name, row in scores.items():
        low, high = row["interval"]
        assert f"{name} {row['value']:.1f} {low:.1f} to {high:.1f}" in text
    rows = [json.loads(line) for line in (model / "predictions.jsonl").open()]
    best = max(rows, key=lambda row: row["CIDEr"])
    assert f"{best['caption']} CIDEr {best['CIDEr']:.1f}" in text
    assert "history.csv of" in text


class Tables(HTMLParser):
    """Of each table of a page the number of its rows and its columns' cells: [[[text]]]."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")

    def handle_data(self, data: str) -> None:
        if self.tables and self.tables[-1] and self.tables[-1][-1]:
            self.tables[-1][-1][-1] += data.strip()


def report_of(captions: dict[str, list[str]], folder: Path, *options: str) -> str:
    """The report of models/flickr8k on sample photos: {a name for the photo: its captions}."""
    photos = folder / "photos"
    photos.mkdir()
    samples = sorted((ROOT / "samples").glob("*.jpg"))
    rows = ["image,caption"]
    for place, (name, own) in enumerate(captions.items()):
        (photos / name).write_bytes(samples[place % len(samples)].read_bytes())
        rows += [f"{name},{caption}" for caption in own]
    (photos / "captions.txt").write_text("\n".join(rows))
    model = ROOT / "models" / "flickr8k"
    arguments = ["--model", model, "--images", photos, "--text", photos, "--split", "all"]
    arguments += ["--no-meteor", "--output", folder / "out", "--report", folder / "r.html"]
    assert evaluate.main([*map(str, arguments), *options]) == 0
    return (folder / "r.html").read_text(encoding="utf-8")


def check_nothing_is_empty(page: str) -> None:
    """No table without rows, no column without a value, no number that is none."""
    for head, *rows in Tables(page).tables:
        assert rows, head
        for column in zip(*rows, strict=True):
            assert set(column) - {"", "–"}, head
    text = re.sub(r"<(style|script)>.*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
    assert not re.findall(r"\bnan\b|\bNone\b|\b1 photos\b", text)


def test_a_report_of_one_photo_has_nothing_empty_and_says_it_once(tmp_path: Path) -> None:
    page = report_of({"my cat.jpg": ["the cat sleeps"]}, tmp_path)
    check_nothing_is_empty(page)
    assert "captions of 1 photo<" in page
    assert page.count('<figure class="photo">') == 1
    assert "CIDEr:" in page and "By the" not in page, "CIDEr is not defined for one photo"
    assert "95% interval" not in page and "Rank correlation" not in page
    assert "These photos have <b>one reference each</b>" in page


def test_a_report_of_few_photos_in_another_language_has_nothing_empty(tmp_path: Path) -> None:
    captions = {f"foto {n}.jpg": [f"ein Hund rennt {'schnell ' * n}"] for n in range(7)}
    page = report_of(captions, tmp_path, "--compare", str(ROOT / "models" / "flickr8k"))
    check_nothing_is_empty(page)
    assert page.count('<figure class="photo">') == 6, "best, median, worst: two each, none twice"
    assert "Tanti" not in page and "people" not in page.split("<main>")[1].split("Genders")[0]
    # The training of the model that it was fine-tuned from, too.
    assert "history_before.csv of flickr8k" in page and "history.csv of flickr8k" in page
    assert re.search(r'aria-label="Training of flickr8k over 14 epochs: loss from 4.28 to', page)


def test_a_report_without_photos_or_history_says_so(
    grids_folder: Path, grids_models: dict[str, Path], tmp_path: Path
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for name in ("model.keras", "captioner.json"):
        (model / name).write_bytes((grids_models["attention"] / name).read_bytes())
    done = script(
        "evaluate.py",
        "--model",
        model,
        "--data",
        grids_folder,
        "--no-meteor",
        "--report",
        tmp_path / "r.html",
        "--photos",
        tmp_path / "nowhere",
    )
    assert done.returncode == 0, done.stderr
    page = Page(tmp_path / "r.html")
    assert not page.all("img")
    assert "has no history.csv" in page.text
    assert "nowhere" in page.text
    done = script("evaluate.py", "--model", model, "--report", tmp_path)
    assert done.returncode == 2
    assert "is a folder" in done.stderr


@pytest.mark.parametrize("decoder", ["attention", "transformer"])
def test_attention_of_a_caption_is_the_same_alone_and_in_a_batch(
    decoder: str, grids_folder: Path, grids_models: dict[str, Path]
) -> None:
    captioner, prepared = load(grids_models[decoder]), read_prepared(grids_folder)
    inputs = read_inputs(captioner, prepared, prepared.splits["dev"][:3])[:2]
    captions = [
        captioner.decoder.text(best[0]) for best in captioner.decoder.decode(*inputs, beam=1)
    ]
    captions[1] = " ".join(captions[1].split()[:2])
    looks = captioner.decoder.attention(*inputs, captions)
    side = captioner.trained_model.encoder["grid_side"]
    for caption, own in zip(captions, looks, strict=True):
        assert own.shape == (len(caption.split()), side, side)
        np.testing.assert_allclose(own.sum(axis=(1, 2)), 1, atol=1e-4)
    alone = captioner.decoder.attention(inputs[0][2:], inputs[1][2:], captions[2:])[0]
    np.testing.assert_allclose(alone, looks[2], atol=1e-4)


def test_a_merge_model_has_no_attention(grids_folder: Path, grids_models: dict[str, Path]) -> None:
    captioner, prepared = load(grids_models["merge"]), read_prepared(grids_folder)
    inputs = read_inputs(captioner, prepared, prepared.splits["dev"][:1])[:2]
    assert captioner.decoder.attention(*inputs, ["a red circle"]) is None


def test_warm_colour_lies_where_the_decoder_attends_to() -> None:
    shares = np.zeros((10, 10))
    shares[1:3, 7:9] = 0.25
    warm = np.asarray(overlay_attention(Image.new("RGB", (200, 100), (200, 200, 200)), shares))
    assert warm.shape == (100, 200, 3)
    red, green, blue = map(int, warm[20, 160])
    assert red > 195 and green < 100 and blue < 80
    assert warm[80, 30].tolist() == [200, 200, 200]
    even = np.asarray(overlay_attention(Image.new("RGB", (20, 10), (200, 200, 200)), shares * 0))
    assert (even == 200).all()  # attention that is nowhere colours nothing
    assert region_name(shares) == "upper right"
    assert region_name(shares.T) == "lower left"
    middle = np.zeros((6, 6))
    middle[2, 3] = 1.0
    assert region_name(middle) == "centre"


def test_objects_are_inferred_from_their_use() -> None:
    captions = 5 * [
        "a black dog runs through the snow",
        "two dogs play with a red ball",
        "a dog is in the snow",
        "a man in a red shirt throws a ball",
        "the man stands in snow",
        "a red ball in the grass",
        "a black shirt on the grass",
        "a red car",
        "the black car",
        "two dogs",
        "the dogs are in snow",
    ]
    found = object_words(captions)
    assert {"dog", "snow", "ball", "man", "shirt", "grass", "car"} <= found
    assert not found & {"a", "red", "black", "runs", "throws", "stands", "play", "in", "two"}


def test_captions_are_binned_by_confidence() -> None:
    generator = np.random.default_rng(1)
    confidences = -generator.random(200)
    scores = 100 * np.exp(confidences) + generator.normal(size=200)
    bins = bin_by_confidence(confidences, scores)
    assert [one.photos for one in bins] == [20] * 10
    assert all(np.diff([one.confidence for one in bins]) > 0)
    assert all(one.low <= one.score <= one.high for one in bins)
    assert bins[0].score == pytest.approx(scores[np.argsort(confidences)[:20]].mean())
    assert rank_correlation(confidences, scores) > 0.95
    assert [one.photos for one in bin_by_confidence(confidences[:14], scores[:14])] == [7, 7]
    assert bin_by_confidence(confidences[:4], scores[:4]) == [], "an interval of 4 says nothing"


def test_rank_correlation_shares_the_ranks_of_ties() -> None:
    assert rank_correlation([1, 2, 2, 3], [10, 20, 20, 30]) == pytest.approx(1)
    # By hand: ranks 1, 2.5, 2.5, 4 and 2, 1, 3, 4.
    assert rank_correlation([1, 2, 2, 3], [2, 1, 3, 4]) == pytest.approx(3 / 22.5**0.5)
    assert np.isnan(rank_correlation([1, 1], [1, 2]))


def test_each_reference_is_scored_against_the_others() -> None:
    same = {"1": ["a red dog runs", "a red dog runs"], "2": ["two men sit here"] * 3}
    assert human_scores(same)["BLEU-4"] == pytest.approx(100)
    assert human_scores({"1": ["a dog"], "2": ["a man", "men"]}) is None


@pytest.mark.parametrize(
    "rows",
    [
        "epoch,loss,dev_loss\n1,x,2\n",
        "epoch,loss,dev_loss\n1,2\n",
        "epoch,loss,dev_loss\n1,2,3,4\n",
        "epoch,loss,dev_loss\n1.5,2,3\n",
        "epoch,loss\n1,2\n",
        'epoch\n"1',
        "x\n" + "9" * 200_000,
    ],
)
def test_a_damaged_history_is_refused(tmp_path: Path, rows: str) -> None:
    (tmp_path / "history.csv").write_text(rows)
    with pytest.raises(CaptioningError, match="is not a table of epochs"):
        read_history(tmp_path)
