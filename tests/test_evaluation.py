"""evaluate.py: scores with intervals, comparison, what stands beside them, what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from pycocoevalcap.bleu.bleu import Bleu

from captioning.bundle import trained_on, write_trained_on
from captioning.errors import CaptioningError
from captioning.evaluation import describe_language, refuse_overlap
from captioning.scoring import has_java, score_captions
from tests.conftest import script

WORDS = [
    "a", "dog", "runs", "on", "the", "grass", "two", "kids", "play", "in", "sand", "red", "ball",
]


def made_up(photos: int, seed: int) -> dict[str, str]:
    generator = np.random.default_rng(seed)
    return {
        f"{i}.jpg": " ".join(generator.choice(WORDS, generator.integers(4, 9)))
        for i in range(photos)
    }


REFERENCES = {name: [caption, *(made_up(60, s)[name] for s in (7, 8))]
              for name, caption in made_up(60, 6).items()}


def test_bleu_from_counts_is_pycocoevalcaps_to_four_digits() -> None:
    captions = made_up(60, 1)
    ours = score_captions(captions, REFERENCES).corpus
    theirs, _ = Bleu(4).compute_score(
        REFERENCES, {name: [caption] for name, caption in captions.items()}, verbose=0
    )
    found = [ours[f"BLEU-{n}"] for n in range(1, 5)]
    np.testing.assert_allclose(found, 100 * np.array(theirs), atol=1e-4)


def test_intervals_hold_the_score_and_narrow_with_photos() -> None:
    few = score_captions(dict(list(made_up(60, 1).items())[:15]), REFERENCES)
    many = score_captions(made_up(60, 1), REFERENCES)
    for scores in (few, many):
        for name, (low, high) in scores.intervals().items():
            assert low < scores.corpus[name] < high, name
    widths = [np.diff(s.intervals()["ROUGE-L"])[0] for s in (few, many)]
    assert widths[1] < 0.75 * widths[0]
    assert many.intervals() == many.intervals()


def test_a_paired_difference_is_surer_than_two_intervals() -> None:
    first = made_up(60, 1)
    better = {n: REFERENCES[n][0] if i % 3 == 0 else c for i, (n, c) in enumerate(first.items())}
    ours, theirs = score_captions(better, REFERENCES), score_captions(first, REFERENCES)
    for name, (difference, low, high) in ours.minus(theirs).items():
        assert difference == pytest.approx(ours.corpus[name] - theirs.corpus[name])
        assert 0 < low < difference < high, name
    assert ours.minus(ours)["CIDEr"] == [0, 0, 0]
    with pytest.raises(CaptioningError, match="same photos"):
        ours.minus(score_captions(made_up(59, 1), REFERENCES))


@pytest.mark.skipif(not has_java(), reason="METEOR's scorer wants Java")
def test_meteor_of_a_copy_is_full_and_of_other_words_is_low() -> None:
    copies = {name: rows[0] for name, rows in REFERENCES.items()}
    assert score_captions(copies, REFERENCES, meteor=True).corpus["METEOR"] > 99
    wrong = dict.fromkeys(copies, "submarine volcano")
    assert score_captions(wrong, REFERENCES, meteor=True).corpus["METEOR"] < 5


def test_what_stands_beside_the_scores() -> None:
    captions = {"a.jpg": "a dog", "b.jpg": "a dog", "c.jpg": "the red ball"}
    references = {name: ["a dog on grass", "grass"] for name in captions}
    found = describe_language(captions, references, train=["a dog", "grass"])
    assert found["vocabulary"] == 5
    assert found["distinct captions"] == pytest.approx(2 / 3, abs=1e-3)
    assert found["word for word in training"] == pytest.approx(2 / 3, abs=1e-3)
    assert found["mean length"] == pytest.approx(7 / 3, abs=0.01)
    assert found["never said"] == ["grass", "on"]


def test_photos_that_were_trained_on_are_refused_by_name(tmp_path: Path) -> None:
    write_trained_on(tmp_path, ["x.jpg", "y.jpg"])
    assert "x.jpg" not in (tmp_path / "trained_on.txt").read_text()
    assert trained_on(tmp_path, ["y.jpg", "z.jpg"]) == {"y.jpg"}
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
    about = json.loads(stored.stdout)
    assert about["photos"] == 20
    assert about["decoder"] == "greedy"
    low, high = about["scores"]["CIDEr"]["interval"]
    assert low <= about["scores"]["CIDEr"]["value"] <= high
    assert about["against"]["model"] == "merge"
    assert "left out" in about["no METEOR"]
    rows = [json.loads(r) for r in (model / "predictions.jsonl").read_text().splitlines()]
    assert {"photo", "caption", "references", "CIDEr", "confidence"} <= rows[0].keys()
    assert json.loads((model / "scores.json").read_text())["scores"] == about["scores"]
    fresh = script(*common, "--images", scenes_folder / "Flicker8k_Dataset", "--text",
                   scenes_folder / "Flickr_8k_text")
    assert fresh.returncode == 0, fresh.stderr
    ours, theirs = (json.loads(r.stdout)["scores"]["BLEU-1"]["value"] for r in (stored, fresh))
    assert ours == pytest.approx(theirs, abs=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "train"], "were trained on"),
        (["--split", "nowhere"], "the nowhere split is empty"),
        (["--beam", 0], "--beam 0"),
        (["--views", 9], "--views 9"),
        (["--images", "photos"], "--images and --text go together"),
        (["--model", "nowhere"], "nowhere is missing"),
    ],
)
def test_what_evaluate_refuses(
    model_folder: Path, data_folder: Path, arguments: list, message: str
) -> None:
    done = script("evaluate.py", "--model", model_folder, "--data", data_folder, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_fewer_photos_than_the_split_has_is_said(
    model_folder: Path, data_folder: Path, tmp_path: Path
) -> None:
    import shutil

    data = tmp_path / "data"
    shutil.copytree(data_folder, data)
    splits = json.loads((data / "splits.json").read_text())
    splits["dev"] += ["gone.jpg", "lost.jpg"]
    (data / "splits.json").write_text(json.dumps(splits))
    done = script("evaluate.py", "--model", model_folder, "--data", data, "--no-meteor")
    assert done.returncode == 0, done.stderr
    assert "2 photos missing" in done.stdout
