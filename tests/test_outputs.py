"""Outputs: what a killed run leaves, two runs at once, sidecars, copies with descriptions."""

import errno
import io
import subprocess
import sys
from pathlib import Path

import pyexiv2
import pytest
from PIL import Image

from captioning.errors import CaptioningError
from captioning.files.text import write_text
from captioning.inference.captioner import Caption
from captioning.output.embedding import describe_image, read_description, write_copy
from captioning.output.existing import joined
from captioning.output.html_format import HtmlFormat
from captioning.output.interfaces import RowFormat
from captioning.output.photo_files import PhotoFiles
from captioning.output.row_formats import CsvFormat, JsonLinesFormat, TextFormat
from captioning.output.rows_file import RowsFile
from captioning.output.sidecars import read_sidecar, write_sidecar
from captioning.output.targets import (
    UnwritableError,
    only_writer,
    refuse_existing,
    refuse_inside,
    refuse_read_only,
    targets_of,
)
from tests.conftest import ROOT

HOLD = """
import sys, time
from pathlib import Path
from captioning.output.targets import only_writer
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def captions(count: int = 5) -> list[Caption]:
    names = ["a.jpg", "two\nlines.jpg", '"q",.jpg', "ü.jpg", "bad\udcff.jpg"]
    return [Caption(Path(names[i]), f"a dog {i}", -1.0 - i / 7) for i in range(count)]


def formats(tmp_path: Path) -> list[RowFormat]:
    return [
        TextFormat(),
        CsvFormat(),
        CsvFormat(marks=True),
        JsonLinesFormat(),
        HtmlFormat(tmp_path),
    ]


@pytest.mark.parametrize("number", range(5), ids=["text", "csv", "csv marked", "jsonl", "html"])
def test_a_file_cut_off_at_any_byte_is_resumed(tmp_path: Path, number: int) -> None:
    rows = formats(tmp_path)[number]
    unsure = 0.4 if number else None
    path = tmp_path / "out"

    def fill(**how: bool) -> bytes:
        output = RowsFile(path, rows, unsure=unsure, **how)
        for caption in captions():
            if not output.has(caption.image):
                output.write(caption)
        between.append(path.read_bytes())
        output.finish()
        return path.read_bytes()

    between: list[bytes] = []
    whole = fill()
    cuts = range(max(0, len(rows.header) - 20), len(between[0]) + 1, 5 if number == 4 else 1)
    for cut in (0, *cuts):
        path.write_bytes(between[0][:cut])
        assert fill(resume=True) == whole, cut
    assert fill(resume=True) == whole  # nothing left to do
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_existing_files_are_neither_lost_nor_mixed_up(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("my own notes\nof last year\n")
    with pytest.raises(CaptioningError, match="--resume continues it, --overwrite"):
        RowsFile(path, CsvFormat())
    with pytest.raises(CaptioningError, match="doesn't begin as this --format does"):
        RowsFile(path, CsvFormat(), resume=True)
    with pytest.raises(CaptioningError, match="row 1, is not a row"):
        RowsFile(path, JsonLinesFormat(), resume=True)
    path.write_bytes(b"\xff\xfe\n")
    with pytest.raises(CaptioningError, match="doesn't begin"):
        RowsFile(path, TextFormat(), resume=True)
    assert path.read_bytes() == b"\xff\xfe\n"
    RowsFile(path, CsvFormat(), overwrite=True).write(captions()[0])
    assert path.read_text() == "image,caption,score,familiar\na.jpg,a dog 0,-1.0000,\n"
    with pytest.raises(CaptioningError, match="doesn't begin"):
        RowsFile(path, CsvFormat(marks=True), resume=True)
    with pytest.raises(CaptioningError, match="is a folder"):
        RowsFile(tmp_path, CsvFormat())


def test_two_runs_on_one_output_refuse_each_other_until_one_is_killed(tmp_path: Path) -> None:
    output = tmp_path / "new" / "out.csv"
    with only_writer(output):
        with pytest.raises(CaptioningError, match="another run is writing"), only_writer(output):
            pass
        with only_writer(tmp_path / "new" / "other.csv"):
            pass
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, "-c", HOLD, str(output)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as other:
            assert other.stdout.readline() == "held\n"
            with pytest.raises(CaptioningError, match="another run"), only_writer(output):
                pass
            other.kill()
        with only_writer(output):  # a killed holder holds nothing
            pass
    assert not list((tmp_path / "new").iterdir())


def test_targets_keep_the_folders_of_photos_and_never_photos_themselves(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    for photo in (a / "x.jpg", a / "sub" / "x.jpg", b / "x.jpg"):
        photo.parent.mkdir(parents=True, exist_ok=True)
        photo.write_text("")
    out = tmp_path / "out"
    photos = [a / "x.jpg", a / "sub" / "x.jpg"]
    assert targets_of(photos, [a], out, ".txt") == {
        photos[0]: out / "x.jpg.txt",
        photos[1]: out / "sub" / "x.jpg.txt",
    }
    assert targets_of(photos[:1], photos[:1], None, ".txt")[photos[0]] == a / "x.jpg.txt"
    with pytest.raises(CaptioningError, match="would both become"):
        targets_of([a / "x.jpg", b / "x.jpg"], [a, b], out)
    with pytest.raises(CaptioningError, match="photos are never changed"):
        targets_of(photos, [a], a)
    with pytest.raises(CaptioningError, match="is a file, where a folder"):
        targets_of(photos, [a], a / "x.jpg")
    (tmp_path / "link").symlink_to(a)
    with pytest.raises(CaptioningError, match="photos are never changed"):
        targets_of(photos, [a], tmp_path / "link")
    with pytest.raises(CaptioningError, match="captioned themselves"):
        refuse_inside(a / "copies", [a])
    refuse_inside(out, [a])
    refuse_existing([])
    with pytest.raises(CaptioningError, match="x.jpg.txt exists already; --resume keeps"):
        refuse_existing([a / "x.jpg.txt"])
    with pytest.raises(CaptioningError, match="x.jpg.txt and 2 more exist already"):
        refuse_existing([a / "x.jpg.txt"] * 3)


def test_short_names_take_the_place_of_the_photo_s_ending(tmp_path: Path) -> None:
    photos = [tmp_path / "a.b.jpg", tmp_path / "c.png", tmp_path / "no ending"]
    targets = targets_of(photos, photos, None, ".txt", short=True)
    assert [target.name for target in targets.values()] == ["a.b.txt", "c.txt", "no ending.txt"]
    with pytest.raises(CaptioningError, match="c.txt; leave --short-names out"):
        targets_of([tmp_path / "c.jpg", tmp_path / "c.png"], [], None, ".txt", short=True)


def sidecars(targets: dict[Path, Path], **how: object) -> PhotoFiles:
    return PhotoFiles(
        targets,
        lambda photo: read_sidecar(targets[photo]),
        write_sidecar,
        **how,
    )


def test_existing_sidecars_are_kept_on_resuming(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    sidecar = tmp_path / "a.jpg.txt"
    output = sidecars({photo: sidecar})
    assert not output.has(photo)
    output.write(Caption(photo, "a dög runs", -1.0))
    assert sidecar.read_text(encoding="utf-8") == "a dög runs\n"
    assert not output.has(photo)
    assert sidecars({photo: sidecar}, resume=True).has(photo)
    assert sidecars({photo: sidecar}, existing="skip").has(photo)
    sidecar.write_bytes(b"\xff")  # of another program: kept, too
    assert sidecars({photo: sidecar}, resume=True).has(photo)


@pytest.mark.parametrize(
    ("existing", "text"),
    [
        ("replace", "a dog runs"),
        ("append", "Rex at the lake, a dog runs"),
        ("prepend", "a dog runs. Rex at the lake"),
    ],
)
def test_a_caption_that_is_there_is_replaced_or_joined_once(
    tmp_path: Path, existing: str, text: str
) -> None:
    photo, sidecar = tmp_path / "a.jpg", tmp_path / "a.txt"
    sidecar.write_text("Rex at the lake\n")
    caption = Caption(photo, "a dog runs", -1.0)
    output = sidecars({photo: sidecar}, existing=existing)
    assert not output.has(photo)
    assert output.preview(caption) == f"{sidecar}\t{text}\n"
    assert sidecar.read_text() == "Rex at the lake\n"
    for _ in range(2):  # a stopped run is repeated
        output.write(caption)
        assert sidecar.read_text() == f"{text}\n"
    output.write(Caption(photo, "", -1.0))  # decorative: nothing is to be added
    assert sidecar.read_text() == ("" if existing == "replace" else f"{text}\n")


def test_a_sidecar_that_is_no_text_stays_and_is_named(tmp_path: Path) -> None:
    photo, sidecar = tmp_path / "a.jpg", tmp_path / "a.jpg.txt"
    sidecar.write_bytes(b"caf\xe9\n")
    for existing in ("skip", "append", "prepend"):
        with pytest.raises(UnwritableError, match="its sidecar stays as it is: .*not UTF-8"):
            sidecars({photo: sidecar}, existing=existing).write(Caption(photo, "a dog", -1.0))
    assert sidecar.read_bytes() == b"caf\xe9\n"


@pytest.mark.parametrize(
    ("old", "new", "existing", "both"),
    [
        ("Rex.", "A dog runs.", "append", "Rex. A dog runs."),
        ("Rex", "A dog runs.", "append", "Rex. A dog runs."),
        ("Rex", "A dog runs.", "prepend", "A dog runs. Rex"),
        ("rex, lake,", "a dog", "append", "rex, lake, a dog"),
        ("", "a dog", "append", "a dog"),
        (None, "a dog", "prepend", "a dog"),
        ("a dog", "", "append", "a dog"),
    ],
)
def test_two_captions_read_as_one(old: str | None, new: str, existing: str, both: str) -> None:
    assert joined(old, new, existing) == both


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_copy_has_the_description_and_the_photo_s_own_pixels(tmp_path: Path, kind: str) -> None:
    image = Image.effect_noise((40, 30), 90).convert("RGB")
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    photo, copy = tmp_path / f"a.{kind.lower()}", tmp_path / "out" / f"a.{kind.lower()}"
    image.save(photo, kind, exif=exif)
    before = photo.read_bytes()
    write_copy(Caption(photo, "a dog & a cát", -1.0), copy)
    assert photo.read_bytes() == before
    with Image.open(photo) as old, Image.open(copy) as new:
        assert new.getexif()[0x0112] == 6
        assert new.getexif()[0x010F] == "Maker"
        assert old.tobytes() == new.tobytes()
    with pyexiv2.ImageData(copy.read_bytes()) as file:
        xmp, exif, iptc = file.read_xmp(), file.read_exif(), file.read_iptc()
    expected = {'lang="x-default"': "a dog & a cát"}
    assert xmp["Xmp.dc.description"] == xmp["Xmp.iptc.AltTextAccessibility"] == expected
    assert exif["Exif.Image.ImageDescription"] == "a dog & a cát"
    assert kind == "WEBP" or iptc["Iptc.Application2.Caption"] == "a dog & a cát"


def test_an_old_description_is_replaced_in_the_copy_alone() -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG")
    first = describe_image(file.getvalue(), "an old description")
    second = describe_image(first, "a new one")
    with pyexiv2.ImageData(second) as image:
        assert image.read_xmp()["Xmp.dc.description"] == {'lang="x-default"': "a new one"}
        assert image.read_iptc()["Iptc.Application2.Caption"] == "a new one"


def test_the_caption_that_a_photo_carries_is_read_and_a_camera_s_is_none(tmp_path: Path) -> None:
    photo, copy = tmp_path / "a.jpg", tmp_path / "b.jpg"
    exif = Image.Exif()
    exif[0x010E] = "OLYMPUS DIGITAL CAMERA         "
    Image.new("RGB", (8, 8)).save(photo, exif=exif)
    assert read_description(photo) is None
    write_copy(Caption(photo, "Rex am See: ünd"), copy)
    assert read_description(copy) == "Rex am See: ünd"
    with pyexiv2.ImageData(copy.read_bytes()) as image:
        image.clear_xmp()
        only_iptc = image.get_bytes()
        image.clear_iptc()
        only_exif = image.get_bytes()
    for old in (only_iptc, only_exif):
        copy.write_bytes(old)
        assert read_description(copy) == "Rex am See: ünd"
    # An empty caption, of a decorative picture, takes nothing away.
    write_copy(Caption(copy, ""), photo)
    assert photo.read_bytes() == copy.read_bytes()
    assert read_description(tmp_path / "missing.jpg") is None
    (tmp_path / "c.jpg").write_text("no image")
    assert read_description(tmp_path / "c.jpg") is None


@pytest.mark.parametrize("kind", ["GIF", "BMP"])
def test_kinds_of_images_without_descriptions_are_named(tmp_path: Path, kind: str) -> None:
    photo = tmp_path / f"a.{kind.lower()}"
    Image.new("RGB", (8, 8)).save(photo, kind)
    with pytest.raises(UnwritableError, match="can't carry a description"):
        write_copy(Caption(photo, "a dog", -1.0), tmp_path / "out" / photo.name)
    for damaged in (b"", b"no image", b"\xff\xd8\xff"):
        with pytest.raises(UnwritableError):
            describe_image(damaged, "a dog")
    assert not (tmp_path / "out").exists()


def test_names_as_long_as_may_be_have_sidecars_or_a_reason(tmp_path: Path) -> None:
    """A photo's name may have 255 bytes; .txt behind it needs four of them."""
    for name in ("n" * 247 + ".jpg", "猫" * 81 + ".jpg", "n" * 248 + ".jpg", "a.jpg"):
        photo = tmp_path / name
        photo.touch()
        output = sidecars(targets_of([photo], [photo], None, ".txt"))
        if len(name) < 252:
            output.write(Caption(photo, "a dog"))
            assert photo.with_name(name + ".txt").read_text() == "a dog\n"
        else:
            with pytest.raises(UnwritableError, match="too long"):
                output.write(Caption(photo, "a dog"))
    assert len(list(tmp_path.iterdir())) == 7


@pytest.mark.parametrize("fault", [errno.EROFS, errno.EACCES])
def test_one_read_only_folder_among_others_costs_its_own_sidecars_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(fault, "Read-only file system")

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(UnwritableError, match="its folder can't be written to"):
        write_sidecar(Caption(tmp_path / "a.jpg", "a dog"), tmp_path / "a.jpg.txt")


def test_where_every_folder_is_read_only_it_is_said_before_anything_is_captioned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "b").mkdir()
    targets = {Path("a.jpg"): tmp_path / "a.txt", Path("b.jpg"): tmp_path / "b" / "b.txt"}
    monkeypatch.setattr("os.access", lambda path, _: path == tmp_path)
    refuse_read_only(targets)  # one of the two can be written to
    refuse_read_only({Path("a.jpg"): tmp_path / "to be made" / "a.txt"})
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(CaptioningError, match="can't be written to; name a folder .* with -o"):
        refuse_read_only(targets)


def test_a_file_whose_folder_cannot_be_made_is_named_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CaptioningError, match=r"cannot write .*x\.txt: "):
        write_text(tmp_path / "file" / "deep" / "x.txt", "")
