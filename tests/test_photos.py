"""Which files of a folder are photos, and which folders are looked into."""

from argparse import ArgumentTypeError
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioning.commands.caption import report_left_out
from captioning.commands.caption_options import check_arguments, parse_arguments
from captioning.commands.options import path
from captioning.data.photos import IMAGE_ENDINGS, describe_missing, list_photos, photos_of
from captioning.data.prepared import read_prepared
from captioning.errors import CaptioningError, command_line
from captioning.files.folders import check_folder
from captioning.files.locks import only_run
from captioning.vision.features import Features, read_features
from captioning.vision.images import UnreadableImageError, formats, open_image


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_every_ending_of_what_the_opener_reads_is_a_photos() -> None:
    opened = set(formats())
    read = {ending for ending, kind in Image.registered_extensions().items() if kind in opened}
    assert len(read) > 30
    assert read <= IMAGE_ENDINGS


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.jpe", "JPEG"), ("a.j2k", "JPEG2000"), ("a.pnm", "PPM"), ("a.ico", "ICO"), ("a.PCX", None)],
)
def test_rarer_endings_are_found_and_opened(tmp_path: Path, name: str, kind: str | None) -> None:
    Image.new("RGB", (32, 32), "red").save(tmp_path / name, kind)
    assert list_photos(tmp_path) == [name]
    assert open_image(tmp_path / name).size == (32, 32)


def test_hidden_files_and_folders_of_servers_are_left_out(tmp_path: Path) -> None:
    touch(
        tmp_path,
        *("a.jpg", "trip/b.jpg", "trip/deep/c.png", "._a.jpg", ".thumbnails/a.jpg"),
        *("@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg", "__MACOSX/a.jpg", "trip/.cache/x.jpg"),
        *("#recycle/z.jpg", "album.jpg/d.jpg"),
    )
    assert list_photos(tmp_path) == ["a.jpg"]
    assert list_photos(tmp_path, True) == [
        "a.jpg",
        "album.jpg/d.jpg",
        "trip/b.jpg",
        "trip/deep/c.png",
    ]
    # A hidden folder that is named oneself is looked into.
    assert photos_of([tmp_path / ".thumbnails"]).photos == [tmp_path / ".thumbnails/a.jpg"]


def test_links_to_folders_are_followed_once_and_end(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    touch(tmp_path, "root/a.jpg", "root/sub/b.jpg", "elsewhere/c.jpg")
    try:
        (root / "up").symlink_to(tmp_path)
        (root / "self").symlink_to(root)
        (root / "again").symlink_to(root / "sub")
        (root / "far").symlink_to(elsewhere)
        (root / "far2").symlink_to(elsewhere)
    except OSError:
        pytest.skip("this system makes no links")
    assert list_photos(root, True) == ["a.jpg", "far/c.jpg", "sub/b.jpg"]


def test_an_empty_folder_among_several_paths_is_said_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    touch(tmp_path, "full/a.jpg", "full/b.jpg", "deep/sub/c.jpg")
    (tmp_path / "empty").mkdir()
    full, empty, deep = (tmp_path / name for name in ("full", "empty", "deep"))
    found = photos_of([empty, full, deep, full / "b.jpg"])
    assert found.photos == [full / "a.jpg", full / "b.jpg"]
    assert found.empty == [empty, deep]
    report_left_out(found)
    said = capsys.readouterr().err
    assert f"note: the folder {empty} holds no image file\n" in said
    assert f"{deep} holds no image file; its subfolders hold 1, which --recursive finds" in said
    with pytest.raises(CaptioningError, match="empty holds no image file; .*--recursive finds"):
        photos_of([empty, deep])


def test_a_folder_that_cannot_be_read_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a.jpg", "locked/b.jpg")
    from os import scandir  # noqa: PLC0415

    def refuse(path: str) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    found = photos_of([tmp_path], recursive=True)
    assert found.photos == [tmp_path / "a.jpg"]
    assert found.unreadable == {tmp_path / "locked": "Permission denied"}
    with pytest.raises(CaptioningError, match="cannot read .*locked: Permission denied"):
        photos_of([tmp_path / "locked"])
    with pytest.raises(CaptioningError, match="cannot read the folder .*locked"):
        list_photos(tmp_path / "locked")


def test_a_fresh_clones_folder_says_how_photos_come(tmp_path: Path) -> None:
    touch(tmp_path, "README.md")
    with pytest.raises(CaptioningError, match=r"no image file; .*--images.*--download"):
        list_photos(tmp_path)


def test_a_file_where_a_folder_is_needed_is_called_a_file(tmp_path: Path) -> None:
    file = tmp_path / "captions.txt"
    file.touch()
    expected = f"{file} is a file, where the folder of x is needed, perhaps {tmp_path}"
    with pytest.raises(CaptioningError) as raised:
        check_folder(file, "the folder of x")
    assert str(raised.value) == expected
    with (
        pytest.raises(CaptioningError, match=r"captions\.txt is a file, where a folder is needed"),
        only_run(file / "models"),
    ):
        pass


def test_before_features_py_the_command_that_makes_its_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaptioningError, match=r"nowhere is missing; make it with: .*features"):
        read_prepared(tmp_path / "nowhere")
    (tmp_path / "descriptions.txt").touch()
    with pytest.raises(CaptioningError) as raised:
        read_prepared(tmp_path)
    assert str(raised.value) == (
        f"splits.json, tokenizer.p, features.json, features.p are missing in {tmp_path}; "
        f"make them with: {command_line('features')} --output {tmp_path}"
    )
    with pytest.raises(CaptioningError, match=r"features\.p are missing in .*--output"):
        read_features(tmp_path)


@pytest.mark.parametrize(
    ("views", "rows", "expected"),
    [
        (1, {}, "the vectors have no grids, which this decoder reads; make them with: {} --grids"),
        (3, {"a": [0]}, "only 1 there; make them with: {} --grids --views 3; or ask for fewer: "),
    ],
)
def test_grids_that_are_wanted_name_the_script_that_makes_them(
    views: int, rows: dict, expected: str
) -> None:
    features = Features({}, {}, grids=np.zeros((1, 1, 1)), rows=rows)
    with pytest.raises(CaptioningError) as raised:
        features.grid_rows(["a"], views)
    assert expected.format(command_line("features")) in str(raised.value)


def test_patterns_that_no_shell_has_expanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows' shells hand *.jpg over as it is."""
    touch(tmp_path, "b.jpg", "a.jpg", "c [1].jpg", "sub/d.jpg")
    monkeypatch.chdir(tmp_path)
    names = ["a.jpg", "b.jpg", "c [1].jpg"]
    assert list(map(str, photos_of([Path("*.jpg")]).photos)) == names
    assert photos_of([Path("c [1].jpg")]).photos == [Path("c [1].jpg")]
    assert photos_of([Path("s*")]).photos == [Path("sub/d.jpg")]
    assert photos_of([Path("x*.jpg")]).photos == [Path("x*.jpg")]  # reported as missing


def test_an_address_is_told_from_a_missing_file() -> None:
    assert describe_missing(Path("https://example.org/a.jpg")) == (
        "https://example.org/a.jpg is an address; photos are read from this machine alone: "
        "download it first"
    )
    assert describe_missing(Path("a.jpg")) == "there is no file a.jpg"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.jpg", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("a.jpg", b"\n <!DOCTYPE html>", "a web page"),
        ("a.svg", b"<svg/>", "a drawing"),
        ("a.jpg", b"%PDF-1.7", "a PDF"),
        ("a.NEF", b"\1\2\3", "raw file.*export it as JPEG"),
        ("a.jpg", b"\1\2\3", "^not an image of a supported format$"),
    ],
)
def test_what_people_take_for_images_is_called_by_its_name(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableImageError, match=reason):
        open_image(tmp_path / name)


def test_home_is_found_where_the_shell_has_not_expanded_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))  # Windows' name for it
    options = parse_arguments(["-i", "~/a.jpg", "--output=~/out.csv"], None)
    assert options.image == [tmp_path / "a.jpg"]
    assert options.output == tmp_path / "out.csv"
    assert path("~nobody-of-this-name/x") == Path("~nobody-of-this-name/x")
    with pytest.raises(ArgumentTypeError, match="an empty path"):
        path("")
    check_arguments(standard := parse_arguments(["a.jpg", "-o", "-"], None))
    assert standard.output is None


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="this system has no /dev/null")
def test_an_output_that_is_no_file_is_refused() -> None:
    with pytest.raises(CaptioningError, match=r"/dev/null is no file.*without -o"):
        check_arguments(parse_arguments(["a.jpg", "-o", "/dev/null"], None))
