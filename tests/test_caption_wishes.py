"""The caption command as people want it: sentences, templates, captions that are there already."""

import base64
import csv
import io
import json
import shutil
from importlib import import_module
from pathlib import Path

import pyexiv2
import pytest
from PIL import Image

from captioning.commands.caption import main
from captioning.errors import CaptioningError
from captioning.inference.captioner import Caption
from captioning.inference.loading import load
from captioning.output.tally import Tally
from captioning.output.xmp_sidecars import read_xmp
from tests.conftest import ROOT

SAMPLES = ROOT / "samples"

GRASS = next(load(ROOT / "models" / "flickr8k").caption(SAMPLES / "grass.jpg")).caption
"""What the shipped model says of a sample."""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three of the samples and a file that is no photo; "grass" is familiar, "coffee" is not."""
    folder = tmp_path / "my holiday"
    folder.mkdir()
    for name in ("coffee.jpg", "grass.jpg", "hopper.jpg"):
        shutil.copy(SAMPLES / name, folder)
    (folder / "broken.jpg").write_text("no image")
    return folder


def run(*arguments: object) -> int:
    """The command with the shipped model, without TensorFlow."""
    return main(["--model", "flickr8k", "--runtime", "onnx", *map(str, arguments)])


def test_sentences_in_a_template_with_a_limit_in_a_table(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    table = tmp_path / "captions.csv"
    wording = ["--sentence", "--template", "{folder}/{name}: {caption}", "--max-characters", "60"]
    assert run(photos, "-o", table, *wording, "--decorative", 0.02) == 1
    messages = capsys.readouterr().err.splitlines()
    assert messages[-1] == f"2 captioned, 1 decorative, 1 skipped → {table}"
    rows = {Path(row["image"]).stem: row for row in csv.DictReader(table.open(encoding="utf-8"))}
    assert rows["coffee"]["caption"] == ""
    for name in ("grass", "hopper"):
        caption = rows[name]["caption"]
        assert caption.startswith(f"my holiday/{name}: A ")
        assert caption.endswith((".", "…"))
        assert len(caption) <= 60
    assert run(photos, "-o", table, *wording, "--decorative", 0.02, "--resume") == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"0 captioned, 4 skipped (3 done before, 1 failed) → {table}"
    )


def test_the_chosen_caption_is_one_of_the_beam_s(
    photos: Path, capsys: pytest.CaptureFixture
) -> None:
    photo = photos / "hopper.jpg"
    assert run(photo, "--format", "jsonl", "--top", 8) == 0
    likeliest = json.loads(capsys.readouterr().out)["captions"]
    limit = min(len(one["caption"]) for one in likeliest)
    assert run(photo, "--format", "jsonl", "--max-characters", limit) == 0
    output = capsys.readouterr()
    found = json.loads(output.out)
    wanted = next(one for one in likeliest if len(one["caption"]) <= limit)
    assert (found["caption"], found["score"]) == (wanted["caption"], wanted["score"])
    assert "cut" not in output.err
    assert run(photo, "--max-characters", limit - 1) == 0
    output = capsys.readouterr()
    assert output.out.endswith("…\n")
    assert "1 of the captions had to be cut at a word" in output.err


def test_a_dry_run_says_all_and_writes_nothing(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    before = sorted(photos.iterdir())
    outputs = {
        "c.csv": ("-o", tmp_path / "new" / "c.csv"),
        "grass.txt": ("--format", "sidecar", "--short-names"),
        "grass.jpg.xmp": ("--format", "xmp", "-o", tmp_path / "new"),
        "grass.jpg": ("--embed", tmp_path / "copies"),
    }
    for name, options in outputs.items():
        assert run(photos, *options, "--sentence", "--dry-run") == 1
        output = capsys.readouterr()
        assert "dry run: 3 captioned, 1 skipped; nothing was written" in output.err
        line = next(line for line in output.out.splitlines() if "grass" in line)
        assert name == "c.csv" or line.split("\t")[0].endswith(name)
        assert f"{GRASS[0].upper()}{GRASS[1:]}." in line
    assert sorted(photos.iterdir()) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["my holiday"]


def test_captions_that_are_there_are_kept_or_joined(
    photos: Path, capsys: pytest.CaptureFixture
) -> None:
    mine = photos / "grass.txt"
    mine.write_text("Rex at the lake.\n")
    sidecars = ("--format", "sidecar", "--short-names", "--sentence")
    with pytest.raises(CaptioningError, match="grass.txt exists already.*--existing append"):
        run(photos, *sidecars)
    assert run(photos, *sidecars, "--existing", "skip") == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "2 captioned, 2 skipped (1 had a caption, 1 failed) → sidecars beside the photos"
    )
    assert mine.read_text() == "Rex at the lake.\n"
    own = (photos / "hopper.txt").read_text()
    assert own.startswith("A man")
    for _ in range(2):
        assert run(photos, *sidecars, "--existing", "append") == 1
        assert mine.read_text().startswith(f"Rex at the lake. {GRASS[0].upper()}{GRASS[1:]}.")
        assert (photos / "hopper.txt").read_text() == own
    assert run(photos, *sidecars, "--existing", "replace") == 1
    assert mine.read_text().startswith(f"{GRASS[0].upper()}{GRASS[1:]}.")


def test_xmp_sidecars_keep_what_is_in_them(photos: Path, capsys: pytest.CaptureFixture) -> None:
    xmp = photos / "grass.jpg.xmp"
    (photos / "broken.jpg").unlink()
    assert run(photos, "--format", "xmp") == 0
    caption = read_xmp(xmp)
    xmp.write_text(
        xmp.read_text(encoding="utf-8").replace(
            'rdf:about=""', 'rdf:about="" a:b="1" xmlns:a="urn:a"'
        )
    )
    (photos / "coffee.jpg.xmp").write_text("damaged")
    assert run(photos, "--format", "xmp", "--overwrite", "--sentence") == 1
    assert "coffee.jpg: not written, coffee.jpg.xmp stays as it is" in capsys.readouterr().err
    assert read_xmp(xmp) == caption[0].upper() + caption[1:] + "."
    assert 'a:b="1"' in xmp.read_text(encoding="utf-8")
    assert (photos / "coffee.jpg.xmp").read_text() == "damaged"
    (photos / "coffee.jpg.xmp").unlink()
    assert run(photos, "--format", "xmp", "--resume") == 0
    assert "2 of 3 photos are done already" in capsys.readouterr().err
    assert read_xmp(photos / "coffee.jpg.xmp")


def test_captions_that_photos_carry_are_kept_in_their_copies(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    exif = Image.Exif()
    exif[0x010E] = "Rex at the lake"
    Image.open(photos / "grass.jpg").save(photos / "grass.jpg", exif=exif)

    def descriptions(folder: Path) -> dict[str, str]:
        found = {}
        for path in folder.iterdir():
            with pyexiv2.ImageData(path.read_bytes()) as image:
                found[path.stem] = image.read_xmp()["Xmp.dc.description"]['lang="x-default"']
        return found

    for existing in ("skip", "append", "prepend", "replace"):
        copies = tmp_path / existing
        assert run(photos, "--embed", copies, "--existing", existing) == 1
        found = descriptions(copies)
        assert found["hopper"].startswith("a man")
        assert ("grass" in found) == (existing != "skip")
        if existing == "append":
            assert found["grass"].startswith(f"Rex at the lake, {GRASS}")
        if existing == "prepend":
            assert found["grass"].endswith(". Rex at the lake")
        if existing == "skip":  # nor is there a row for it
            assert "grass" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--template", "{foldr}: {caption}"], "no field {foldr}"),
        (["--max-characters", "0"], "--max-characters 0 is not at least 1"),
        (["--decorative", "2"], "--decorative 2.0 is not from 0 to 1"),
        (["--existing", "skip"], "it wants --format sidecar, --format xmp or --embed"),
        (["--short-names"], "it wants --format sidecar or --format xmp"),
        (["--dry-run", "--unsure", "0.2"], "leave --attention, --explain and --unsure out"),
        (["--format", "xmp", "--unsure", "0.2"], "a sidecar holds the caption alone"),
        (["--attention", "a.png", "--max-characters", "9"], "may choose another"),
    ],
)
def test_what_cannot_be_is_refused_at_once(arguments: list[str], message: str) -> None:
    with pytest.raises(CaptioningError, match=message):
        run(SAMPLES / "grass.jpg", *arguments)


def test_a_model_that_cannot_tell_what_it_knows_finds_nothing_decorative(tmp_path: Path) -> None:
    model = tmp_path / "old"
    shutil.copytree(ROOT / "models" / "flickr8k", model)
    (model / "familiarity.npz").unlink()
    with pytest.raises(CaptioningError, match="it has no familiarity.npz, as older models"):
        main(["--model", str(model), str(SAMPLES / "grass.jpg"), "--decorative", "0.02"])


@pytest.mark.parametrize(
    ("tally", "line"),
    [
        (Tally(captioned=6, failed=1), "6 captioned, 1 skipped → captions.csv"),
        (Tally(captioned=6, had=1), "6 captioned, 1 skipped → captions.csv"),
        (Tally(captioned=1234), "1,234 captioned → captions.csv"),
        (Tally(), "0 captioned → captions.csv"),
    ],
)
def test_the_last_line_counts_every_photo(tally: Tally, line: str) -> None:
    assert tally.line(["captions.csv"]) == line
    assert tally.line([]) == line.removesuffix(" → captions.csv")
    assert tally.line(["a", "b"]).endswith("→ a and b")


@pytest.mark.parametrize("name", ["caption", "features", "train", "evaluate", "export", "demo"])
def test_the_examples_in_help_are_commands_that_work(
    name: str, capsys: pytest.CaptureFixture
) -> None:
    command = import_module(f"captioning.commands.{name}")
    with pytest.raises(SystemExit):
        command.parse_arguments(["--help"], None)
    said = capsys.readouterr().out
    assert "None" not in said and "False" not in said
    examples = [line for line in said.split("examples:")[1].splitlines() if line.startswith("  p")]
    assert len(examples) > 1
    for example in examples:
        parsed = command
        if "--shards" in example:  # with options of its own
            parsed = import_module(f"captioning.commands.{name}_shards")
        parsed.parse_arguments(example.split()[2:], None)


def test_a_notebook_shows_the_photo_with_its_caption(tmp_path: Path) -> None:
    photo = tmp_path / "<b>.jpg"
    shutil.copy(SAMPLES / "hopper.jpg", photo)
    shown = Caption(photo, 'a "man"', -0.5, familiar=0.25)._repr_html_()
    assert '<img src="data:image/jpeg;base64,' in shown
    assert 'alt="a &quot;man&quot;"' in shown
    assert "&lt;b&gt;.jpg, familiar 25.0%" in shown
    with Image.open(io.BytesIO(base64.b64decode(shown.split("base64,")[1].split('"')[0]))) as image:
        assert max(image.size) <= 360
    photo.unlink()
    assert "<img" not in Caption(photo, "a man", -0.5)._repr_html_()
    assert Caption(photo, error="no <image>")._repr_html_().endswith(": no &lt;image&gt;</p>")
