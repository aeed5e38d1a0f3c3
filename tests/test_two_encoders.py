"""Models of different encoders that decide together, by each encoder's own view of a photo."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from captioning.data.prepared import read_prepared
from captioning.decoders.ensemble import Seen
from captioning.evaluation.predictions import read_inputs
from captioning.files.pickles import write_pickle
from captioning.files.text import write_json
from captioning.inference.critic import Critic, write_critic
from captioning.inference.description import DESCRIPTION
from captioning.inference.loading import load
from captioning.vision.encoders import UNKNOWN_WEIGHTS
from captioning.vision.features import read_features
from captioning.vision.stamps import digest_of_file
from tests.conftest import Run, input_options


def with_weights(model: Path, copy: Path, fingerprint: str) -> Path:
    """A copy of a model that was trained with other weights of its encoder."""
    shutil.copytree(model, copy)
    description = json.loads((copy / DESCRIPTION).read_text())
    description["encoder"]["weights"] = fingerprint
    write_json(copy / DESCRIPTION, description)
    return copy


@pytest.fixture(scope="module")
def two(
    model_folder: Path, data_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """The toy model as one of another encoder, whose vectors are the first one's backwards; and
    the folder of these."""
    folder = tmp_path_factory.mktemp("two")
    model = with_weights(model_folder, folder / "model", "0123456789abcdef")
    data = Path(shutil.copytree(data_folder, folder / "data"))
    features = read_features(data_folder)
    write_pickle(
        data / "features.p",
        {name: np.ascontiguousarray(v[:, ::-1]) for name, v in features.vectors.items()},
    )
    about = json.loads((data / "features.json").read_text())
    about["made_by"]["weights"] = "0123456789abcdef"
    write_json(data / "features.json", about | {"digest": digest_of_file(data / "features.p")})
    return model, data


@pytest.fixture
def run_evaluate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Run:
    """The evaluate command in this process."""
    from captioning.commands import evaluate
    from captioning.commands.run import run_main

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["evaluate.py", "--no-meteor", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run_main(evaluate.main)
        return ended.value.code, *capsys.readouterr()

    return call


def test_each_model_is_scored_by_the_data_of_its_encoder(
    model_folder: Path,
    data_folder: Path,
    two: tuple[Path, Path],
    run_evaluate: Run,
    tmp_path: Path,
) -> None:
    other, other_data = two
    models = ("--model", model_folder, "--model", other, "--beam", 3)
    report = tmp_path / "report.html"
    texts = []
    for place, data in enumerate(((data_folder, other_data), (other_data, data_folder))):
        given = [option for folder in data for option in ("--data", folder)]
        output = ("--output", tmp_path / str(place), *(("--report", report) if place else ()))
        code, _, messages = run_evaluate(*models, *given, *output)
        assert code == 0, messages
        rows = (tmp_path / str(place) / "predictions.jsonl").read_text().splitlines()
        texts.append({row["photo"]: row["caption"] for row in map(json.loads, rows)})
    assert texts[0] == texts[1] and "<html" in report.read_text()

    # By hand: the second model's vectors, backwards, change what the first would say alone.
    captioner, alone = load(model_folder, other), load(model_folder)
    names = sorted(texts[0])
    vectors = read_features(data_folder).matrix(names)
    found = captioner.decoder.decode(vectors, None, [Seen(vectors[:, ::-1], None)], beam=3)
    assert {n: captioner.decoder.text(h[0]) for n, h in zip(names, found, strict=True)} == texts[0]
    plain = alone.decoder.decode(vectors, beam=3)
    assert [own[0].log_probability for own in plain] != [own[0].log_probability for own in found]


def test_data_that_lack_an_encoder_or_a_photo(
    model_folder: Path,
    data_folder: Path,
    two: tuple[Path, Path],
    run_evaluate: Run,
    tmp_path: Path,
) -> None:
    other, other_data = two
    models = ("--model", model_folder, "--model", other, "--output", tmp_path / "out")
    code, _, messages = run_evaluate(*models, "--data", data_folder)
    assert code == 2 and "trained with '0123456789abcdef'" in messages and str(other) in messages
    fewer = Path(shutil.copytree(other_data, tmp_path / "fewer"))
    vectors = dict(read_features(fewer).vectors)
    del vectors[read_prepared(data_folder).splits["dev"][0]]
    write_pickle(fewer / "features.p", vectors)
    about = json.loads((fewer / "features.json").read_text())
    write_json(fewer / "features.json", about | {"digest": digest_of_file(fewer / "features.p")})
    code, _, messages = run_evaluate(*models, "--data", data_folder, "--data", fewer)
    assert code == 2 and "no vector for 1 photos" in messages
    assert not (tmp_path / "out").exists()


def test_photos_go_through_each_model_s_encoder(
    model_folder: Path, odd_photos: Path, run_caption: Run, tmp_path: Path
) -> None:
    """Weights that nobody knows are those at hand: one encoder twice, and the same captions."""
    same = with_weights(model_folder, tmp_path / "same", UNKNOWN_WEIGHTS)
    photos = [odd_photos / name for name in ("colour.png", "broken.jpg", "gray.jpg")]
    captioner = load(model_folder, same)
    assert len(captioner.encoders) == 2
    found = list(captioner.caption(photos, beam=3))
    alone = list(load(model_folder).caption(photos, beam=3))
    assert [c.caption for c in found] == [c.caption for c in alone]
    assert found[1].error == alone[1].error and found[1].error
    np.testing.assert_allclose([c.score for c in found], [c.score for c in alone], atol=1e-4)
    code, output, messages = run_caption(
        "-i", photos[0], "--model", model_folder, "--model", same, "--beam", 3
    )
    assert (code, output.strip()) == (0, alone[0].caption), messages


def test_a_folder_of_photos_is_encoded_for_each_model(
    model_folder: Path, scenes_folder: Path, run_evaluate: Run, tmp_path: Path
) -> None:
    same = with_weights(model_folder, tmp_path / "same", UNKNOWN_WEIGHTS)
    photos = (*input_options(scenes_folder), "--split", "test", "--beam", 2)
    for folder, models in (("alone", (model_folder,)), ("both", (model_folder, same))):
        given = [option for model in models for option in ("--model", model)]
        code, _, messages = run_evaluate(*given, *photos, "--output", tmp_path / folder)
        assert code == 0, messages
    alone, both = (
        [json.loads(row)["caption"] for row in (tmp_path / folder / "predictions.jsonl").open()]
        for folder in ("alone", "both")
    )
    assert len(alone) == 20 and alone == both


def test_models_of_other_words_cannot_decide_together(
    model_folder: Path, odd_photos: Path, run_caption: Run, tmp_path: Path
) -> None:
    other = with_weights(model_folder, tmp_path / "other", UNKNOWN_WEIGHTS)
    description = json.loads((other / DESCRIPTION).read_text())
    description["words"][0] += "x"
    write_json(other / DESCRIPTION, description)
    code, _, messages = run_caption(
        "-i", odd_photos / "colour.png", "--model", model_folder, "--model", other
    )
    assert code == 2 and "each has another vocabulary" in messages and "--like" in messages


def test_the_first_critic_there_is_chooses_with_its_own_encoder_and_weight(
    model_folder: Path, data_folder: Path, two: tuple[Path, Path], tmp_path: Path
) -> None:
    judged = Path(shutil.copytree(two[0], tmp_path / "judged"))
    description = json.loads((judged / DESCRIPTION).read_text())
    description["decoding"]["critic"] = 40.0
    write_json(judged / DESCRIPTION, description)
    size, words = description["encoder"]["vector_size"], len(description["words"]) + 4
    draw = np.random.default_rng(0).normal
    critic = Critic(
        *(np.zeros(size, np.float32), np.ones(size, np.float32)),
        *(draw(size=(size, 8)).astype("float16"), np.zeros(8, np.float32)),
        *(draw(size=(8, 6)).astype("float16"), np.zeros(6, np.float32)),
        *(draw(size=(words, 6)).astype("float16"), np.zeros(6, np.float32)),
    )
    write_critic(judged, critic)
    captioner = load(model_folder, judged)
    assert captioner.decoder.settings(beam=4).critic == 40.0
    prepared = read_prepared(data_folder)
    names = prepared.splits["dev"]
    vectors = prepared.features.matrix(names)
    others = [Seen(vectors[:, ::-1], None)]
    for own, vector in zip(
        captioner.decoder.decode(vectors, None, others, beam=4), vectors[:, ::-1], strict=True
    ):
        (cosines,) = critic.cosines(vector[None], [[h.tokens for h in own]])
        sums = [h.score + 40 * cosine for h, cosine in zip(own, cosines, strict=True)]
        assert sums == sorted(sums, reverse=True)


def test_inputs_of_one_encoder_are_as_ever(model_folder: Path, data_folder: Path) -> None:
    prepared = read_prepared(data_folder)
    vectors, grids, others = read_inputs(load(model_folder), prepared, prepared.splits["dev"])
    assert vectors.shape[0] == len(prepared.splits["dev"]) and grids is None and others == []
