"""The benchmark runs, and the classic recipe in it does the same work as ours."""

import json
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from benchmarks import classic, growth, machine, pictures, synthetic
from benchmarks.comparison import Comparison, Rate, alternate
from benchmarks.familiarity import auroc
from benchmarks.vectors import compare_vectors
from captioning.backend import faster_precision
from captioning.data.text import END, START
from captioning.files.onnx_session import processors
from captioning.inference.description import read_description
from captioning.inference.trained_model import load_trained_model
from tests.conftest import BLOCK13, ROOT, script


def test_the_classic_recipe_makes_one_sample_a_word() -> None:
    vectors = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    ((repeated, prefixes), targets), _ = classic.samples(vectors, [[[7, 5]], [[6]]], 4, 9)
    assert prefixes.tolist() == [[0, 0, 0, START], [0, 0, START, 7], [0, START, 7, 5]]
    assert targets.argmax(axis=1).tolist() == [7, 5, END]
    assert repeated.tolist() == [[1, 2]] * 3


def test_random_captions_are_as_long_as_real_ones() -> None:
    vectors, captions = synthetic.random_captions(400, 6)
    lengths = [len(tokens) for own in captions for tokens in own]
    assert vectors.shape == (400, 6)
    assert len(lengths) == 2000
    assert 10.4 < np.mean(lengths) < 11.4
    assert min(lengths) >= 1 and max(lengths) <= synthetic.LONGEST
    assert {4 <= token < synthetic.VOCABULARY for own in captions for t in own for token in t} == {
        True
    }


def test_two_ways_take_turns_and_are_compared() -> None:
    done = []

    def work(name: str) -> tuple[int, float]:
        done.append(name)
        time.sleep(0.01 if name == "ours" else 0.05)
        return 10, 2.0 if name == "ours" else 5.0  # as if another process computed

    rates = alternate(lambda: work("classic"), lambda: work("ours"), 3)
    assert done == ["classic", "ours"] * 3
    assert 3 < rates[1].wall / rates[0].wall <= 5.5
    assert [rate.processor for rate in rates] == pytest.approx([2, 5], rel=0.05)


def test_ratios_of_faster_and_slower_ways() -> None:
    rates = (Rate(2.0, 4.0), Rate(8.0, 12.0))
    faster = Comparison.faster("a", "photos/s", rates, 4.0, limit=24.0)
    assert (faster.ratio, faster.by_processor, faster.reached) == (4, 3, True)
    assert faster.share == processors() * 12 / 24
    assert faster.highest == 12
    slower = Comparison.slower("b", "s", rates[::-1], 3.9)
    assert (slower.classic, slower.ours) == (1 / 8, 1 / 2)
    assert (slower.ratio, slower.by_processor, slower.reached) == (4, 3, False)


@pytest.fixture(scope="module")
def found() -> dict[str, dict]:
    """Every small comparison, as the script prints it in JSON, by name."""
    rows = {}
    for step in ("features", "train", "decode"):
        done = script(
            "benchmarks/run.py", step, "--small", "--photos", 12, "--rounds", 1, "--format", "json"
        )
        assert done.returncode == 0, done.stderr
        about = json.loads(done.stdout)
        assert about["float32"] > 0 and "cores" in about["machine"]
        rows |= {row["name"]: row for row in about["comparisons"]}
    return rows


def vectors_rows() -> set[str]:
    """The ways to make vectors that this machine has."""
    return {"float32", faster_precision()} | ({"OpenVINO"} if find_spec("openvino") else set())


def test_each_comparison_has_a_ratio(found: dict[str, dict]) -> None:
    assert len(found) == 3 + len(vectors_rows())
    for row in found.values():
        faster = row["ours"] / row["classic"]
        assert row["ratio"] == pytest.approx(1 / faster if row["at_most"] else faster)
        better = row["ratio"] <= row["target"] if row["at_most"] else row["ratio"] >= row["target"]
        assert row["reached"] == better
        assert row["by_processor"] > 0


def test_both_ways_do_the_same_work(found: dict[str, dict]) -> None:
    cosines = [row["checks"]["least cosine"] for n, row in found.items() if "vectors" in n]
    assert len(cosines) == len(vectors_rows())
    assert min(cosines) >= 0.999
    losses = found["training, merge model, float32"]["checks"]
    assert losses["our loss"] == pytest.approx(losses["classic loss"], abs=1e-4)
    assert found["greedy captions"]["checks"]["same captions"] == "2 of 2"


def test_growth_is_measured(capsys: pytest.CaptureFixture) -> None:
    for what in ("decode", "grids"):
        growth.work(what, 100, str(ROOT / "models" / "flickr8k-merge"))
        told = json.loads(capsys.readouterr().out)
        assert told["seconds"] > 0
        assert told["mebibytes"] > 100
    row = growth.Growth(1000, 2.5, 400.0, 900.0, 1.25, 800.0, 700.0, 0.5, 2000.0, 500.0)
    cells = ["1,000", "2.5", "400", "900", "1.2", "800", "700", "0.5", "2,000", "500"]
    assert growth.table([row])[-1].strip("| ").split(" | ") == cells


def test_memory_of_its_own_is_seen() -> None:
    with machine.OwnMemory() as before:
        pass
    with machine.OwnMemory() as memory:
        held = np.ones(25_000_000)  # 191 MiB
        time.sleep(0.3)
    assert 150 < memory.peak - before.peak < 250, held.size


def test_a_wrong_argument_ends_in_a_message() -> None:
    done = script("benchmarks/run.py", "features", "--images", "nowhere")
    assert done.returncode == 2
    assert "there is no folder nowhere" in done.stderr


@pytest.mark.flickr8k
def test_bfloat16_vectors_stand_in_for_float32(shared: Path) -> None:
    photos = sorted((shared / "flickr8k" / "Flicker8k_Dataset").iterdir())[:8]
    rows = list(compare_vectors(photos, str(BLOCK13), rounds=1))
    assert all(row.checks["least cosine"] >= 0.999 for row in rows)


def test_the_ablation_changes_one_part_at_a_time(grids_folder: Path, tmp_path: Path) -> None:
    def run() -> list[str]:
        done = script(
            "benchmarks/ablation.py",
            "--data",
            grids_folder,
            "--output",
            tmp_path,
            "--width",
            12,
            "--epochs",
            1,
            "--beam",
            1,
            "--no-meteor",
            "--only",
            "tying",
            "standardised",
            "smoothing",
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    table = run()
    assert [line.split(" | ")[0] for line in table[2:]] == [
        "| the recipe",
        "| input and output embeddings not tied",
        "| grids not standardised",
        "| without label smoothing",
    ]
    models = {
        name: load_trained_model(tmp_path / name).model
        for name in ("whole", "tying", "standardised")
    }
    tied = {name: model.get_layer("embedding").tie_weights for name, model in models.items()}
    assert tied == {"whole": True, "tying": False, "standardised": True}
    means = {
        name: np.abs(model.get_layer("standardise").mean).max() for name, model in models.items()
    }
    assert means["whole"] > 0 and means["standardised"] == 0
    about = read_description(tmp_path / "smoothing")
    assert about["training"]["settings"]["smoothing"] == 0
    assert run() == table  # scored again, not trained again


def test_the_area_under_the_curve() -> None:
    alike, others = np.array([3.0, 5.0, 5.0, 9.0]), np.array([1.0, 5.0, 4.0])
    pairs = [(a > b) + (a == b) / 2 for a in alike for b in others]
    assert auroc(alike, others) == pytest.approx(np.mean(pairs))
    assert (auroc(alike, alike), auroc(alike, alike - 9), auroc(alike, alike + 9)) == (0.5, 1, 0)


@pytest.mark.parametrize("kind", pictures.KINDS)
def test_pictures_are_drawn_the_same_each_time(kind: str) -> None:
    first, again = pictures.draw(kind, 2), pictures.draw(kind, 2)
    assert [picture.mode for picture in first] == ["RGB", "RGB"]
    assert [p.tobytes() for p in first] == [p.tobytes() for p in again]
    assert first[0].tobytes() != first[1].tobytes()


def test_familiarity_is_measured(data_folder: Path, model_folder: Path) -> None:
    options = ["--data", data_folder, "--pictures", 1, "--model"]
    done = script("benchmarks/familiarity.py", *options, model_folder)
    assert done.returncode == 0, done.stderr
    rows = {cells[1]: cells[2:] for cells in map(_cells, done.stdout.splitlines()[2:])}
    assert rows["photos of dev"] == ["20", "–", "0.0%"]
    assert rows["the data's other photos"][0] == "20"  # of the test split
    assert 0.2 < float(rows["the data's other photos"][1]) < 0.8
    assert [rows[kind][0] for kind in pictures.KINDS] == ["1"] * len(pictures.KINDS)
    assert rows["photos in samples/"][0] == "9"
    done = script("benchmarks/familiarity.py", *options, ROOT / "models" / "flickr8k")
    assert (done.returncode, "another encoder" in done.stderr) == (2, True)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")][:-1]
