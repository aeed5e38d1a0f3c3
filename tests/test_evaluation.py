"""evaluate.py: scores with intervals, comparison, variety of captions, what is refused."""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from captioning import load
from captioning.commands import evaluate
from captioning.commands.run import run_main
from captioning.errors import CaptioningError
from captioning.evaluation import result_files
from captioning.evaluation.language import describe_language
from captioning.evaluation.meteor import has_java
from captioning.evaluation.overlap import refuse_overlap
from captioning.evaluation.scores import score_captions
from captioning.inference import caption_decoder
from captioning.inference.models import shipped_folder
from captioning.inference.trained_on import trained_on, write_trained_on
from tests.conftest import script

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Run:
    """Runs the script here, where Keras is loaded already: (exit code, output, messages)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        line = [evaluate.__file__, "--no-meteor", *arguments]
        monkeypatch.setattr(sys, "argv", [*map(str, line)])
        with pytest.raises(SystemExit) as ended:
            run_main(evaluate.main)
        return ended.value.code, *capsys.readouterr()

    return call


@pytest.fixture
def model(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the toy model's folder, to write into; its pictures are not among the photos."""
    return Path(shutil.copytree(model_folder, tmp_path_factory.mktemp("models") / "model"))


@pytest.fixture
def own_photos(tmp_path: Path) -> list:
    """The arguments for three photos that no model was trained on, with a table of captions."""
    for name in ("neu.png", "schön.png", "allein.png"):
        Image.new("RGB", (80, 60), (len(name) * 20, 90, 40)).save(tmp_path / name)
    (tmp_path / "captions.txt").write_text(
        "image,caption\nneu.png,ein Kreis im Schnee\nneu.png,a red circle\n"
        "schön.png,Ein Hündchen läuft – schnell!\nallein.png,a box\nallein.png,...\n",
        encoding="utf-8",
    )
    return ["--images", tmp_path, "--text", tmp_path, "--split", "all"]


WORDS = [
    "a",
    "dog",
    "runs",
    "on",
    "the",
    "grass",
    "two",
    "kids",
    "play",
    "in",
    "sand",
    "red",
    "ball",
]


def random_captions(photos: int, seed: int) -> dict[str, str]:
    generator = np.random.default_rng(seed)
    return {
        f"{i}.jpg": " ".join(generator.choice(WORDS, generator.integers(4, 9)))
        for i in range(photos)
    }


REFERENCES = {
    name: [caption, *(random_captions(60, s)[name] for s in (7, 8))]
    for name, caption in random_captions(60, 6).items()
}


def test_bleu_from_counts_is_pycocoevalcaps_to_four_digits() -> None:
    captions = random_captions(60, 1)
    ours = score_captions(captions, REFERENCES).corpus
    theirs, _ = Bleu(4).compute_score(
        REFERENCES, {name: [caption] for name, caption in captions.items()}, verbose=0
    )
    found = [ours[f"BLEU-{n}"] for n in range(1, 5)]
    np.testing.assert_allclose(found, 100 * np.array(theirs), atol=1e-4)


def test_intervals_hold_the_score_and_narrow_with_photos() -> None:
    few = score_captions(dict(list(random_captions(60, 1).items())[:15]), REFERENCES)
    many = score_captions(random_captions(60, 1), REFERENCES)
    for scores in (few, many):
        for name, (low, high) in scores.intervals().items():
            assert low < scores.corpus[name] < high, name
    widths = [np.diff(s.intervals()["ROUGE-L"])[0] for s in (few, many)]
    assert widths[1] < 0.75 * widths[0]
    assert many.intervals() == many.intervals()


def test_a_paired_difference_is_narrower_than_two_intervals() -> None:
    first = random_captions(60, 1)
    better = {n: REFERENCES[n][0] if i % 3 == 0 else c for i, (n, c) in enumerate(first.items())}
    ours, theirs = score_captions(better, REFERENCES), score_captions(first, REFERENCES)
    for name, (difference, low, high) in ours.minus(theirs).items():
        assert difference == pytest.approx(ours.corpus[name] - theirs.corpus[name])
        assert 0 < low < difference < high, name
    assert ours.minus(ours)["CIDEr"] == [0, 0, 0]
    with pytest.raises(CaptioningError, match="same photos"):
        ours.minus(score_captions(random_captions(59, 1), REFERENCES))


@pytest.mark.skipif(not has_java(), reason="METEOR needs Java")
def test_meteor_of_a_copy_is_full_and_of_other_words_is_low() -> None:
    copies = {name: rows[0] for name, rows in REFERENCES.items()}
    assert score_captions(copies, REFERENCES, meteor=True).corpus["METEOR"] > 99
    wrong = dict.fromkeys(copies, "submarine volcano")
    assert score_captions(wrong, REFERENCES, meteor=True).corpus["METEOR"] < 5


def test_the_variety_of_captions() -> None:
    captions = {"a.jpg": "a dog", "b.jpg": "a dog", "c.jpg": "the red ball"}
    references = {name: ["a dog on grass", "grass"] for name in captions}
    found = describe_language(captions, references, train=["a dog", "grass"])
    assert found["vocabulary"] == 5
    assert found["distinct captions"] == pytest.approx(2 / 3, abs=1e-3)
    assert found["word for word in training"] == pytest.approx(2 / 3, abs=1e-3)
    assert found["mean length"] == pytest.approx(7 / 3, abs=0.01)
    assert found["never said"] == ["grass", "on"]


def test_photos_that_were_trained_on_are_refused_by_name(tmp_path: Path) -> None:
    write_trained_on(tmp_path, ["x.jpg", "y.jpg"], {})
    assert "x.jpg" not in (tmp_path / "trained_on.txt").read_text()
    assert trained_on(tmp_path, ["y.jpg", "z.jpg"]) == {"y.jpg"}
    assert trained_on(tmp_path / "nowhere", ["y.jpg"]) is None
    with pytest.raises(CaptioningError, match=r"2 photos of the dev split.*t\.jpg, y\.jpg"):
        refuse_overlap(["y.jpg", "z.jpg", "t.jpg"], "dev", tmp_path, ["t.jpg"])
    refuse_overlap(["z.jpg"], "dev", tmp_path, ["t.jpg"])


def test_scores_from_vectors_and_straight_from_photos_are_the_same(
    grids_models: dict[str, Path], grids_folder: Path, scenes_folder: Path
) -> None:
    model = grids_models["transformer"]
    common = ["evaluate.py", "--model", model, "--no-meteor", "--format", "json", "--split", "test"]
    stored = script(*common, "--data", grids_folder, "--compare", grids_models["merge"])
    assert stored.returncode == 0, stored.stderr
    summary = json.loads(stored.stdout)
    assert summary["photos"] == 20
    assert summary["decoder"] == "greedy"
    low, high = summary["scores"]["CIDEr"]["interval"]
    assert low <= summary["scores"]["CIDEr"]["value"] <= high
    assert summary["against"]["model"] == "merge"
    assert summary["against"]["decoder"] == "greedy"
    assert summary["against"]["scores"].keys() == summary["scores"].keys()
    assert "left out" in summary["no METEOR"]
    rows = [json.loads(r) for r in (model / "predictions.jsonl").read_text().splitlines()]
    assert {"photo", "caption", "references", "CIDEr", "confidence"} <= rows[0].keys()
    assert json.loads((model / "scores.json").read_text())["scores"] == summary["scores"]
    fresh = script(
        *common,
        "--images",
        scenes_folder / "Flicker8k_Dataset",
        "--text",
        scenes_folder / "Flickr_8k_text",
    )
    assert fresh.returncode == 0, fresh.stderr
    ours, theirs = (json.loads(r.stdout)["scores"]["BLEU-1"]["value"] for r in (stored, fresh))
    assert ours == pytest.approx(theirs, abs=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "train"], "were trained on"),
        (["--split", "nowhere"], "the nowhere split is empty"),
        (["--beam", 0], "--beam 0"),
        (["--beam", 100_000], "--beam 100000 is not from 1 to 1,000"),
        (["--beam", 3, "--length-penalty", "nan"], "--length-penalty nan"),
        (["--length-penalty", 1], "give --beam too"),
        (["--no-repeat", -1], "--no-repeat -1"),
        (["--split", "all"], "--split all wants a folder of photos"),
        (["--views", 9], "--views 9"),
        (["--images", "photos"], "--images and --text go together"),
        (["--images", "x", "--text", "x", "--split", "val"], "no split val; choose one of train"),
        (["--report", "a.pdf"], "--report a.pdf is not named .html"),
        (["--model", "nowhere"], "nowhere is missing"),
    ],
)
def test_what_evaluate_refuses(
    run: Run, model_folder: Path, data_folder: Path, arguments: list, message: str
) -> None:
    code, _, messages = run("--model", model_folder, "--data", data_folder, *arguments)
    assert code == 2
    assert message in messages


def test_photos_missing_from_the_split_are_reported(
    run: Run, model: Path, data_folder: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(data_folder, data)
    splits = json.loads((data / "splits.json").read_text())
    splits["dev"] += ["gone.jpg", "lost.jpg"]
    (data / "splits.json").write_text(json.dumps(splits))
    code, output, messages = run("--model", model, "--data", data)
    assert code == 0, messages
    assert "FEWER THAN THE SPLIT HAS: 2 photos missing" in output
    assert "gone.jpg, lost.jpg" in output
    summary = json.loads((model / "scores.json").read_text())
    assert summary["photos"] == 20
    assert summary["missing photos"] == 2
    assert summary["missing"] == ["gone.jpg", "lost.jpg"]


def test_scores_can_be_computed_again_from_the_predictions(
    run: Run, model: Path, data_folder: Path
) -> None:
    code, output, messages = run("--model", model, "--data", data_folder, "--format", "json")
    assert code == 0, messages
    summary = json.loads(output)
    assert json.loads((model / "scores.json").read_text()) == summary
    assert {"split", "photos", "decoder", "tokenisation", "models"} <= summary.keys()
    rows = [json.loads(line) for line in (model / "predictions.jsonl").open(encoding="utf-8")]
    assert len(rows) == summary["photos"]
    references = {row["photo"]: row["references"] for row in rows}
    hypotheses = {row["photo"]: [row["caption"]] for row in rows}
    bleu, _ = Bleu(4).compute_score(references, hypotheses, verbose=0)
    cider, own = Cider().compute_score(references, hypotheses)
    rouge, _ = Rouge().compute_score(references, hypotheses)
    wanted = {f"BLEU-{n}": bleu[n - 1] for n in range(1, 5)} | {"ROUGE-L": rouge, "CIDEr": cider}
    for name, value in wanted.items():
        assert summary["scores"][name]["value"] == round(100 * float(value), 2), name
    assert [row["CIDEr"] for row in rows] == [round(100 * value, 1) for value in own]


def test_photos_that_no_model_saw_straight_from_a_folder(
    run: Run, model: Path, own_photos: list, tmp_path: Path
) -> None:
    scores = model / f"{tmp_path.name}-scores.json"
    code, output, messages = run("--model", model, *own_photos)
    assert code == 0, messages
    assert "all, 3 photos, greedy" in output
    assert "word for word in training: not known" in output
    assert json.loads(scores.read_text())["language"]["word for word in training"] is None
    assert not (model / "scores.json").exists()  # which is of the data it was trained on
    predictions = model / f"{tmp_path.name}-predictions.jsonl"
    rows = [json.loads(line) for line in predictions.open(encoding="utf-8")]
    assert {row["photo"]: row["references"] for row in rows}["schön.png"] == [
        "ein hündchen läuft schnell"
    ]
    assert {row["photo"]: row["references"] for row in rows}["allein.png"] == ["a box"]


def test_a_single_photo_and_one_without_a_caption(
    run: Run, model: Path, own_photos: list, tmp_path: Path
) -> None:
    (tmp_path / "captions.txt").write_text("image,caption\nneu.png,a box\nschön.png,...\n")
    code, output, messages = run("--model", model, *own_photos)
    assert code == 0, messages
    assert "all, 1 photo," in output
    assert "2 photos missing, without vector or caption (allein.png, schön.png)" in output
    (tmp_path / "neu.png").write_bytes(b"no photo")
    code, _, messages = run("--model", model, *own_photos)
    assert code == 2
    assert "none of the 1 photos of the all split can be read: neu.png" in messages


def test_a_trained_on_photo_is_known_under_another_name(
    run: Run, model: Path, own_photos: list, scenes_folder: Path, tmp_path: Path
) -> None:
    lists = scenes_folder / "Flickr_8k_text" / "Flickr_8k.trainImages.txt"
    trained = scenes_folder / "Flicker8k_Dataset" / lists.read_text().split()[0]
    shutil.copy(trained, tmp_path / "neu.png")
    code, _, messages = run("--model", model, *own_photos)
    assert code == 2
    assert "1 photos of the all split were trained on: neu.png" in messages
    code, output, _ = run("--model", model, *own_photos, "--allow-overlap")
    assert code == 0
    assert "all, 3 photos" in output


def test_renamed_photos_of_the_data_at_hand_are_known(tmp_path: Path) -> None:
    contents = {"a.jpg": "1" * 64, "b.jpg": "1" * 64, "c.jpg": "2" * 64}
    with pytest.raises(CaptioningError, match=r"1 photos .* trained on: b\.jpg"):
        refuse_overlap(["b.jpg", "c.jpg"], "dev", tmp_path, ["a.jpg"], contents)
    # "all" holds the data's training photos: only what the model itself was trained on counts.
    write_trained_on(tmp_path, ["other.jpg"], {})
    refuse_overlap(["a.jpg", "b.jpg", "c.jpg"], "all", tmp_path, ["a.jpg"], contents)


def test_a_model_trained_further_remembers_its_first_photos(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"x").hexdigest()
    write_trained_on(tmp_path / "first", ["x.jpg"], {"x.jpg": digest})
    write_trained_on(tmp_path / "second", ["y.jpg"], {}, [tmp_path / "first"])
    assert trained_on(tmp_path / "second", ["x.jpg", "y.jpg", "z.jpg"]) == {"x.jpg", "y.jpg"}
    assert trained_on(tmp_path / "second", ["new.jpg"], {"new.jpg": digest}) == {"new.jpg"}


def test_the_other_model_must_not_have_seen_the_photos_either(
    run: Run, model: Path, data_folder: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(model, tmp_path / "other"))
    dev = json.loads((data_folder / "splits.json").read_text())["dev"]
    write_trained_on(other, dev[:2], {})
    code, _, messages = run("--model", model, "--data", data_folder, "--compare", other)
    assert code == 2
    assert f"2 photos of the dev split were trained on: {dev[0]}, {dev[1]}" in messages


def test_a_model_without_grids_against_one_with_them_from_photos(
    run: Run, grids_models: dict[str, Path], own_photos: list
) -> None:
    code, output, messages = run(
        "--model",
        grids_models["merge"],
        *own_photos,
        "--compare",
        grids_models["attention"],
        "--beam",
        2,
        "--views",
        2,
    )
    assert code == 0, messages
    assert "minus attention (beam 2, length power 0.7, 2 views a photo), paired" in output


def test_scores_are_shown_and_the_report_written_though_they_cannot_be_kept(
    run: Run, model: Path, data_folder: Path, tmp_path: Path
) -> None:
    (model / "scores.json").mkdir()
    report = tmp_path / "report.html"
    code, output, messages = run("--model", model, "--data", data_folder, "--report", report)
    assert code == 2
    assert "CIDEr" in output
    assert "scores.json: Is a directory" in messages
    assert "--output names another folder" in messages
    assert report.stat().st_size > 10_000
    code, _, messages = run("--model", model, "--data", data_folder, "--report", report / "x")
    assert code == 2
    assert f"{report} is a file, where a folder is needed" in messages
    # A read-only folder is known when it is written to; what comes after it is written.
    code, _, messages = run(
        *("--model", model, "--data", data_folder, "--output", tmp_path / "o"),
        *("--card", tmp_path / "card.md", "--report", tmp_path / "again.html"),
    )
    assert code == 0, messages
    assert (tmp_path / "o" / "scores.json").exists()


def test_scores_are_kept_for_each_data_set_and_shipped_models_stay_as_they_came(
    run: Run, own_photos: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_files, "models_folder", lambda: tmp_path / "models")
    shipped = shipped_folder() / "flickr8k"
    before = {path.name: path.stat().st_mtime_ns for path in shipped.iterdir()}
    code, _, messages = run("--model", "flickr8k", *own_photos, "--views", 1, "--beam", 1)
    assert code == 0, messages
    assert {path.name: path.stat().st_mtime_ns for path in shipped.iterdir()} == before
    kept = tmp_path / "models" / "scores" / "flickr8k"
    names = {f"{tmp_path.name}-scores.json", f"{tmp_path.name}-predictions.jsonl"}
    assert {path.name for path in kept.iterdir()} == names
    assert str(kept) in messages


def test_the_names_of_an_evaluations_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert result_files.results_prefix(tmp_path / "holiday", False, False) == "holiday-"
    assert result_files.results_prefix(tmp_path / "holiday", False, True) == "ensemble-holiday-"
    assert result_files.results_prefix(tmp_path, True, False) == ""
    assert result_files.results_prefix(Path("/"), False, False) == "photos-"
    assert result_files.results_folder(tmp_path) == tmp_path.resolve()
    monkeypatch.setattr("os.access", lambda path, mode: False)  # a read-only disk
    assert result_files.results_folder(tmp_path).parts[-2:] == ("scores", tmp_path.name)


def test_a_wide_beam_takes_fewer_photos_at_once(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    captioner = load(model_folder)
    vectors = np.random.default_rng(0).random((9, captioner.trained_model.encoder["vector_size"]))
    vectors = vectors.astype(np.float32)
    apart = [captioner.decoder.decode(row[None], beam=200)[0][0].tokens for row in vectors]
    together = []

    def search(step: object, state: object, photos: int, *others: object) -> list:
        together.append(photos)
        return real(step, state, photos, *others)

    real = caption_decoder.search
    monkeypatch.setattr(caption_decoder, "search", search)
    monkeypatch.setattr(caption_decoder, "VECTORS_AT_ONCE", 25)
    found = captioner.decoder.decode(vectors, beam=200)
    assert together == [4, 4, 1]
    assert [best[0].tokens for best in found] == apart
