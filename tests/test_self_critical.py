"""Self-critical training: CIDEr as a reward, sampling, mean weights, a rising reward."""

import random
from pathlib import Path

import numpy as np
import pytest
from pycocoevalcap.cider.cider import Cider

from captioning.data.cider import CiderD
from captioning.data.prepared import read_prepared
from captioning.data.text import END, START
from captioning.inference.description import read_description
from captioning.inference.search import sample
from captioning.inference.settings import DecodingSettings
from captioning.inference.trained_model import load_trained_model
from captioning.training.mean_weights import copy_model, update_mean_weights
from captioning.training.rewards import CiderRewards
from captioning.training.self_critical import advantages
from tests.conftest import script


def test_our_cider_is_pycocoevalcaps() -> None:
    draw = random.Random(1)

    def caption() -> list[str]:
        return [draw.choice("abcdefgh") for _ in range(draw.randint(1, 12))]

    references = [[caption() for _ in range(draw.randint(1, 5))] for _ in range(60)]
    captions = [caption() for _ in range(60)]
    ours = [CiderD(references).score(i, c) for i, c in enumerate(captions)]
    _, theirs = Cider().compute_score(
        {i: [" ".join(row) for row in rows] for i, rows in enumerate(references)},
        {i: [" ".join(c)] for i, c in enumerate(captions)},
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-9)
    assert max(ours) > 0.5


def test_an_advantage_is_against_the_mean_of_the_others() -> None:
    found = advantages(np.array([[1.0, 2.0, 6.0], [3.0, 3.0, 3.0]]))
    np.testing.assert_allclose(found, [[-3, -1.5, 4.5], [0, 0, 0]], atol=1e-6)


def test_sampling_follows_the_probabilities() -> None:
    """After `<start>`: word 4 with probability 1/4, word 5 with 3/4; then the end."""

    def step(words: np.ndarray, state: list) -> tuple:
        table = np.full((*words.shape, 6), -np.inf, np.float32)
        first = words == START
        table[first, 4], table[first, 5] = np.log(0.25), np.log(0.75)
        table[~first, END] = 0.0
        return table, state

    generators = np.random.default_rng(0).spawn(100)
    captions = sample(step, [], 100, 50, DecodingSettings(max_words=5), generators)
    flat = [tuple(tokens) for own in captions for tokens in own]
    assert set(flat) == {(4,), (5,)}
    assert np.mean([tokens == (5,) for tokens in flat]) == pytest.approx(0.75, abs=0.03)


def test_a_caption_that_stops_in_mid_sentence_is_rewarded_less(data_folder: Path) -> None:
    prepared = read_prepared(data_folder)
    name = prepared.splits["train"][0]
    rewards = CiderRewards(prepared, prepared.splits["train"], 20)
    whole = prepared.tokenizer.encode(prepared.captions[name][0])
    assert rewards.of(0, whole) > rewards.of(0, whole[:-1]) > rewards.of(0, whole[:2])
    cut = CiderRewards(prepared, prepared.splits["train"], len(whole))
    assert cut.of(0, whole) < rewards.of(0, whole)  # cut off: its end was not generated
    assert cut.of(0, whole[:-1]) == rewards.of(0, whole[:-1])


def test_the_mean_of_the_epochs_is_exact(grids_models: dict[str, Path]) -> None:
    model, mean = (load_trained_model(grids_models["merge"]).model for _ in range(2))
    every = []
    for count in range(1, 4):
        for weight in model.trainable_weights:
            weight.assign(np.random.default_rng(count).normal(size=weight.shape))
        every.append(list(map(np.array, model.trainable_weights)))
        update_mean_weights(mean, model, count)
    for kept, *rows in zip(mean.trainable_weights, *every, strict=True):
        np.testing.assert_allclose(np.asarray(kept), np.mean(rows, axis=0), atol=1e-5)


@pytest.mark.parametrize("decoder", ["merge", "attention", "transformer"])
def test_a_copy_computes_the_same(decoder: str, grids_models: dict[str, Path]) -> None:
    model = load_trained_model(grids_models[decoder]).model
    rows, generator = 3, np.random.default_rng(0)
    photos = generator.random((rows, *model.inputs[0].shape[1:]), np.float32) + 1
    words = generator.integers(4, 9, (rows, *[2] * (model.inputs[1].ndim - 2), 5), np.int32)
    logits = model.predict_on_batch([photos, words])
    np.testing.assert_array_equal(copy_model(model).predict_on_batch([photos, words]), logits)


@pytest.mark.parametrize("decoder", ["merge", "transformer"])
def test_finetuning_raises_the_reward(
    decoder: str, grids_folder: Path, grids_models: dict[str, Path], tmp_path: Path
) -> None:
    output = tmp_path / "finetuned"
    command = [
        "train.py",
        "--data",
        grids_folder,
        "--initial",
        grids_models[decoder],
        "--finetune",
        "cider",
        "--output",
        output,
        "--epochs",
        6,
        "--patience",
        9,
        "--learning-rate",
        5e-3,
        "--batch-size",
        8,
    ]
    done = script(*command)
    assert done.returncode == 0, done.stderr
    rows = (output / "history.csv").read_text().splitlines()
    rewards = [float(row.split(",")[1]) for row in rows[1:]]
    assert len(rewards) == 6
    assert rewards[-1] > 1.1 * rewards[0], rewards
    # The curves show the epochs of the training before, too.
    before = (output / "history_before.csv").read_text()
    assert before == (grids_models[decoder] / "history.csv").read_text()
    about = read_description(output)
    assert about["training"]["before"]["settings"]["decoder"] == decoder
    other = script(*command[:-2], "--width", 8, "--overwrite")
    assert other.returncode == 2
    assert "--width has no meaning" in other.stderr


def test_finetuning_wants_a_model(data_folder: Path, tmp_path: Path) -> None:
    done = script("train.py", "--data", data_folder, "--finetune", "cider", "--output", tmp_path)
    assert done.returncode == 2
    assert "--initial" in done.stderr
