"""features --shards, caption --shards: the commands, with real models."""

import json
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from captioning.commands import caption, features
from captioning.commands.run import run_main
from captioning.data.prepared import read_prepared
from captioning.errors import CaptioningError
from captioning.scenes.dataset import write_scenes
from captioning.vision.batches import encode_views
from captioning.vision.efficientnet_lite import VARIANTS
from captioning.vision.encoders import ENCODERS
from captioning.vision.features import read_features
from captioning.vision.images import load_array
from captioning.vision.onnx_encoder import load_onnx_encoder
from tests.test_shards import write_tar

ROOT = Path(__file__).parent.parent
ENCODER = "efficientnet-lite0"


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighteen rendered scenes, and a file that is no image."""
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(folder, train=12, dev=4, test=2, seed=3)
    (folder / "Flicker8k_Dataset" / "broken.jpg").write_text("no image")
    return folder


@pytest.fixture(scope="module")
def sharded(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their vectors and grids of two views, in shards, with the captions."""
    output = tmp_path_factory.mktemp("sharded") / "out"
    code = features.main(
        [
            *("--shards", str(scenes / "Flicker8k_Dataset"), "-o", str(output)),
            *("--text", str(scenes / "Flickr_8k_text"), "--encoder", ENCODER, "--grids"),
            *("--images", str(scenes / "Flicker8k_Dataset"), "--views", "2", "--min-count", "1"),
            *("--shard-size", "5", "--workers", "1"),
        ]
    )
    assert code == 1  # one file is no image
    return output


def test_sharded_features_are_those_of_the_encoder(scenes: Path, sharded: Path) -> None:
    prepared = read_prepared(sharded)
    features = prepared.features
    assert len(features.vectors) == 18 and list(features.failed) == ["broken.jpg"]
    signature = {**ENCODERS[ENCODER].as_dict(), "weights": VARIANTS[ENCODER].fingerprint}
    assert features.made_by == signature
    encoder = load_onnx_encoder(signature, Path("no model"))
    names = list(features.vectors)[::-1]
    pixels = np.stack(
        [load_array(scenes / "Flicker8k_Dataset" / name, encoder.settings.size) for name in names]
    )
    vectors, grids = encode_views(encoder, pixels, 2)
    np.testing.assert_allclose(features.matrix(names), vectors, rtol=1e-4, atol=1e-5)
    rows = features.grid_rows(names, 2)
    assert features.grids.shape == (36, 49, 320)
    np.testing.assert_allclose(features.grids[rows], grids, atol=2e-2)
    np.testing.assert_array_equal(features.grids[rows[0, 0]], features.grids[rows][0, 0])
    np.testing.assert_array_equal(features.grids[-3:], features.grids[[33, 34, 35]])
    with pytest.raises(CaptioningError, match="no vector for 1 photos"):
        features.matrix(["broken.jpg"])


def test_a_shard_that_is_missing_or_cut_off_is_told(
    sharded: Path, tmp_path: Path, scenes: Path
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in sharded.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    vectors = copy / "00001.vectors"
    vectors.write_bytes(vectors.read_bytes()[:-8])
    with pytest.raises(CaptioningError, match="00001.vectors has .* bytes, not"):
        read_features(copy)
    (copy / "00002_stats.json").unlink()
    with pytest.raises(CaptioningError, match="1 of 4 shards in .* are missing, 00002"):
        read_features(copy)


def test_training_reads_shards(sharded: Path, tmp_path: Path) -> None:
    from tests.conftest import script

    output = tmp_path / "model"
    options = [
        "--decoder",
        "transformer",
        "--epochs",
        "1",
        "--width",
        "18",
        "--batch-size",
        "8",
        "--seed",
        "1",
    ]
    done = script("train.py", "--data", sharded, "--output", output, *options)
    assert done.returncode == 0, done.stderr
    assert (output / "captioner.json").exists()


def run_caption(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, *arguments: object
) -> tuple[int, str]:
    """The command in this process: exit code and messages."""
    given = ["caption_generator.py", "--shards", *map(str, arguments)]
    monkeypatch.setattr(sys, "argv", given)
    with pytest.raises(SystemExit) as ended:
        run_main(caption.main)
    return ended.value.code, capsys.readouterr().err


def test_captions_are_those_of_the_plain_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    samples, output = ROOT / "samples", tmp_path / "out"
    monkeypatch.chdir(tmp_path)
    wishes = ["--beam", "3", "--top", "2", "--neutral", "--sentence", "--max-characters", "60"]
    wishes += ["--template", "{folder}, {name}: {caption}", "--decorative", "0.01"]
    given = (samples, "-o", "out", "--model", "flickr8k", "--workers", 2, "--shard-size", 5)
    code, messages = run_caption(monkeypatch, capsys, *given, *wishes)
    assert code == 0, messages
    assert "9 of 9 photos have captions" in messages
    plain = ["--model", "flickr8k", "-i", str(samples), "-o", str(tmp_path / "p.jsonl")]
    caption.main([*plain, *wishes])
    plain = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    rows = [json.loads(line) for n in (0, 1) for line in (output / f"0000{n}.jsonl").open()]
    assert [row["key"] for row in rows] == [Path(row["image"]).name for row in plain]
    for row, expected in zip(rows, plain, strict=True):
        assert row["caption"] == expected["caption"]
        assert row["score"] == pytest.approx(expected["score"], abs=1e-3)
        assert row["familiar"] == pytest.approx(expected["familiar"], abs=1e-2)
        assert row["error"] is None
        found = [one["caption"] for one in row["captions"]]
        assert found == [one["caption"] for one in expected["captions"]]
    assert any(row["caption"].startswith("samples, ") for row in rows)
    for fewer, what in ((wishes[2:], "beam was 3"), (wishes[:5] + wishes[6:], "sentence was True")):
        code, messages = run_caption(monkeypatch, capsys, *given, *fewer)
        assert code == 2 and f"another run: its settings differ: {what}, now" in messages


def test_wishes_in_parquet_for_photos_in_a_tar_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    """The folder of a photo in a tar file is its folder there, or else that file."""
    coffee, camera = (ROOT / "samples" / name for name in ("coffee.jpg", "cameraman.jpg"))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(coffee, "drinks/coffee.jpg")
        archive.add(camera, "camera.jpg")
    write_tar(tmp_path / "b.tar", ["broken.jpg"])  # no photo: the columns are the same
    monkeypatch.chdir(tmp_path)
    given = ["*.tar", "-o", "out", "--model", "flickr8k", "--workers", 1, "--format", "parquet"]
    wishes = ["--template", "{folder}: {caption}", "--top", 3]
    code, messages = run_caption(monkeypatch, capsys, *given, *wishes)
    assert code == 1 and "2 of 3 photos have captions" in messages
    tables = [parquet.read_table(tmp_path / "out" / f"{name}.parquet") for name in "ab"]
    assert tables[0].schema == tables[1].schema
    rows = tables[0].to_pylist()
    assert [row["key"] for row in rows] == ["drinks/coffee.jpg", "camera.jpg"]
    assert [row["caption"].partition(": ")[0] for row in rows] == ["drinks", "a.tar"]
    assert [len(row["captions"]) for row in rows] == [3, 3]
    assert all(row["captions"][0]["caption"] == row["caption"] for row in rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "-o", "out"], "there is no input nowhere"),
        (["samples", "-o", "out", "--shard-index", "4/4"], "--shard-index 4/4 is not I/N"),
        (["samples", "-o", "out", "--workers", "0"], "--workers 0 is not at least 1"),
        (["samples", "-o", "out", "--ray-address", "auto"], "--ray-address wants --distributor"),
        (["samples", "-o", "out", "--distributor", "ray"], "this needs the package ray; pip"),
        (["s3://b/tars", "-o", "out"], "this needs the package fsspec; pip install"),
        (["samples", "-o", "full"], "full is a file, where a folder is needed"),
        (["samples", "-o", "others"], "others holds b_stats.json, but no _run.json"),
        (["-o", "out"], "--shards wants an input"),
        (["samples", "-o", "out", "--unsure", "0.2"], "--unsure isn't for --shards: each row has"),
        (["samples", "-o", "out", "--image=a.jpg"], "--image isn't for --shards: the input is"),
        (["samples", "photo.jpg", "-o", "out"], "photo.jpg: with --shards, the input is what"),
        (["samples", "-o", ""], "-o names no folder"),
        (["samples", "-o", "out", "--resume"], "--resume isn't for --shards: the same command"),
        (["samples", "-o", "out", "--template", "{word}"], "there is no field {word}"),
        (["samples", "-o", "out", "--top", "8", "--beam", "3"], "--top 8 wants a --beam at least"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    Path("samples").symlink_to(ROOT / "samples")
    Path("full").write_text("")
    Path("others").mkdir()
    Path("others", "b_stats.json").write_text("{}")
    before = sorted(tmp_path.rglob("*"))
    code, messages = run_caption(monkeypatch, capsys, *arguments, "--model", "flickr8k")
    assert code == 2
    assert message in messages.splitlines()[-1]
    assert sorted(tmp_path.rglob("*")) == before


def test_the_page_on_scale_holds_the_tables_of_its_script() -> None:
    from benchmarks import scale

    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    for table in scale.tables():
        assert table in page, "write it: python benchmarks/scale.py"
