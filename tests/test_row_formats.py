"""Captions as rows: what a row contains, reads back, and keeps harmless."""

import csv
import io
import json
import random
from html.parser import HTMLParser
from pathlib import Path

import pytest

from captioning.inference.captioner import Caption
from captioning.output.confidence import least_confident
from captioning.output.escaping import FORMULA_STARTS
from captioning.output.html_format import HtmlFormat
from captioning.output.interfaces import RowFormat
from captioning.output.row_formats import CsvFormat, JsonLinesFormat, TextFormat
from captioning.output.rows_file import split_rows

NAMES = [
    "plain.jpg",
    "with space.jpg",
    'comma, and "quotes".jpg',
    "two\nlines.jpg",
    "tab\there.jpg",
    "return\rhere.jpg",
    "next\x85line.jpg",
    "línea\u2028ünï 猫.jpg",
    "-dash.jpg",
    "=1+1.jpg",
    "@home.jpg",
    "back\\slash.jpg",
    "'quote'.jpg",
    "<b>&amp;.jpg",
    "per%cent#hash?.jpg",
    "bad\udcff.jpg",
    '"starts".jpg',
    "\x1b[31mred.jpg",
    "a:b.jpg",
    "\ttab.jpg",
    "\rreturn.jpg",
    "\uff1d1+1.jpg",
]


def formats() -> list[RowFormat]:
    return [
        TextFormat(),
        CsvFormat(),
        CsvFormat(marks=True),
        JsonLinesFormat(),
        JsonLinesFormat(top=2),
        HtmlFormat(Path("/x")),
    ]


def caption_of(name: str, text: str = "a dog runs", score: float = -1.25) -> Caption:
    return Caption(Path(name), text, score, [(text, score), ("a cat", -2.0)])


@pytest.mark.parametrize("rows", formats(), ids=lambda rows: type(rows).__name__)
def test_rows_of_any_names_come_back_one_by_one(rows: RowFormat) -> None:
    captions = [caption_of(name, score=-1 - place) for place, name in enumerate(NAMES)]
    written = [rows.row_of(caption) for caption in captions]
    text = "".join(written).encode("utf-8", "backslashreplace").decode("utf-8")
    found = list(split_rows(text, multiline=rows.multiline))
    assert len(found) == len(NAMES)
    for caption, row in zip(captions, found, strict=True):
        name, score = rows.parse(row)
        assert name == rows.name_of(caption.image)
        assert isinstance(rows, TextFormat) or score == caption.score
        for unsure in (True, False):
            marked = rows.mark(row, unsure)
            assert rows.parse(marked)[0] == name
            assert rows.mark(rows.mark(marked, not unsure), unsure) == marked
            assert (rows.mark(marked, not unsure) == marked) == rows.header.endswith("familiar\n")
    assert len({rows.name_of(caption.image) for caption in captions}) == len(NAMES)


@pytest.mark.parametrize("rows", formats(), ids=lambda rows: type(rows).__name__)
def test_a_text_cut_anywhere_gives_its_whole_rows(rows: RowFormat) -> None:
    written = [
        rows.row_of(caption_of(name)).encode("utf-8", "backslashreplace").decode() for name in NAMES
    ]
    text = "".join(written)
    ends = [sum(map(len, written[: count + 1])) for count in range(len(written))]
    for cut in range(len(text)):
        whole = sum(end <= cut for end in ends)
        assert list(split_rows(text[:cut], rows.multiline)) == written[:whole]


def test_a_line_of_text_is_a_row_in_a_terminal() -> None:
    lines = [TextFormat().row_of(caption_of(name)) for name in NAMES]
    assert all(len(line.splitlines()) == 1 and line.count("\t") == 1 for line in lines)
    assert all("\x1b" not in line for line in lines)
    assert lines[0] == "plain.jpg\ta dog runs\n"
    assert lines[3] == '"two\\nlines.jpg"\ta dog runs\n'
    assert lines[11] == "back\\slash.jpg\ta dog runs\n"
    assert TextFormat(named=False).row_of(caption_of("a.jpg")) == "a dog runs\n"


def test_no_cell_of_a_table_is_a_formula() -> None:
    table = CsvFormat()
    captions = ["=cmd|' /C calc'!A0", "+1", "-1", "@sum(a1)", "\t=1", "\r=1", "a - b = c"]
    text = table.header + "".join(table.row_of(caption_of(n, s)) for n in NAMES for s in captions)
    rows = list(csv.DictReader(io.StringIO(text.encode(errors="replace").decode(), newline="")))
    assert len(rows) == len(NAMES) * len(captions)
    for row in rows:
        assert not row["image"].startswith(FORMULA_STARTS)
        assert not row["caption"].startswith(FORMULA_STARTS)
        assert float(row["score"]) == -1.25
    assert {row["image"] for row in rows} >= {
        "'-dash.jpg",
        "'=1+1.jpg",
        "'\uff1d1+1.jpg",
        "'@home.jpg",
        "two\nlines.jpg",
    }


def test_json_lines_hold_names_that_are_no_utf8() -> None:
    line = JsonLinesFormat().row_of(caption_of("bad\udcff.jpg")).encode("utf-8", "backslashreplace")
    assert json.loads(line)["image"] == "bad\udcff.jpg"
    assert "captions" not in json.loads(line)
    assert [
        c["score"] for c in json.loads(JsonLinesFormat(2).row_of(caption_of("a")))["captions"]
    ] == [
        -1.25,
        -2.0,
    ]


class Images(HTMLParser):
    """Collects (link, alt text) of a page's images, and every other address."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[tuple[str, str]] = []
        self.elsewhere: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        given = dict(attrs)
        if tag == "img":
            self.images.append((given["src"], given["alt"]))
        self.elsewhere += [value for value in given.values() if value and "//" in value]


def test_a_page_links_photos_relatively_and_carries_alt_texts(tmp_path: Path) -> None:
    page = HtmlFormat(tmp_path / "pages")
    text = page.header + "".join(
        page.row_of(caption_of(str(tmp_path / "photos" / name), 'a "dog" & <b>')) for name in NAMES
    )
    images = Images()
    images.feed(text.encode("utf-8", "backslashreplace").decode())
    assert [alt for _, alt in images.images] == ['a "dog" & <b>'] * len(NAMES)
    assert images.images[1][0] == "../photos/with%20space.jpg"
    assert images.images[18][0] == "../photos/a%3Ab.jpg"
    assert not images.elsewhere
    assert "<script" not in text


def test_the_share_of_the_lowest_scores_is_marked() -> None:
    scores = [-float(place) for place in range(10)]
    random.Random(3).shuffle(scores)
    marks = least_confident(scores, 0.2)
    assert sorted(s for s, unsure in zip(scores, marks, strict=True) if unsure) == [-9.0, -8.0]
    assert sum(least_confident([-1.0] * 5, 0.5)) == 2
    assert least_confident([], 0.2) == []
