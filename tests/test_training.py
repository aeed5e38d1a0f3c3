"""The batch generator, the loss, the model and resuming."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from captioning.data.text import END, START
from captioning.decoders.merge import MergeSteps, build_merge
from captioning.inference.description import read_description
from captioning.training.batches import CaptionBatches, shift
from captioning.training.losses import WordLoss, loss_per_word
from captioning.training.models import compile_for_training
from captioning.training.settings import TrainingSettings
from tests.conftest import ROOT, script

CAPTIONS = [[4, 5], [6], [4, 6, 5, 4], [5, 5, 5, 5], [6, 4], [4, 4, 6]] * 4


def toy_batches(batch_size: int = 4, seed: int = 0) -> CaptionBatches:
    vectors = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
    photos = np.arange(len(CAPTIONS)) % 6
    return CaptionBatches(vectors, photos, CAPTIONS, batch_size, seed)


def toy_model() -> keras.Model:
    keras.utils.set_random_seed(1)
    model = build_merge(3, 7, width=8, dropout=0.5)
    compile_for_training(model, TrainingSettings(learning_rate=1e-2))
    return model


def test_shift_puts_markers_and_weights_where_they_belong() -> None:
    inputs, targets, weights = shift([[4, 5], [6]])
    assert inputs.tolist() == [[START, 4, 5], [START, 6, 0]]
    assert targets.tolist() == [[4, 5, END], [6, END, 0]]
    assert weights.tolist() == [[1, 1, 1], [1, 1, 0]]


def test_the_end_of_a_caption_that_was_cut_off_is_not_learned() -> None:
    assert shift([[4, 5], [6]], cut_at=2)[2].tolist() == [[1, 1, 0], [1, 1, 0]]
    assert shift([[4, 5], [6]], cut_at=3)[2].tolist() == [[1, 1, 1], [1, 1, 0]]


def test_an_epoch_has_each_caption_once_beside_its_own_photo() -> None:
    batches = toy_batches()
    found = []
    for index in range(len(batches)):
        (vectors, inputs), _, weights = batches[index]
        for vector, row, weight in zip(vectors, inputs, weights, strict=True):
            length = int(weight.sum()) - 1
            found.append((tuple(vector), tuple(row[1 : length + 1])))
    every = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
    wanted = [(tuple(every[i % 6]), tuple(tokens)) for i, tokens in enumerate(CAPTIONS)]
    assert sorted(found) == sorted(wanted)
    assert batches.words == sum(len(tokens) + 1 for tokens in CAPTIONS)


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list:
        batches = toy_batches(seed=seed)
        batches.start_epoch(epoch)
        return [batches[i][0][1].tolist() for i in range(len(batches))]

    assert order(1, 3) == order(1, 3)
    assert order(1, 3) != order(1, 4)
    assert order(1, 3) != order(2, 3)


def test_the_loss_equals_the_classic_prefix_by_prefix_loss() -> None:
    """A sample for each prefix of a caption, one-hot targets, as the original project trained."""
    model, batches = toy_model(), toy_batches()
    ours = loss_per_word(model, batches)
    layer = model.get_layer
    total, samples = 0.0, 0
    for i, tokens in enumerate(CAPTIONS):
        vector = batches[0][0][0][:1] * 0 + np.random.default_rng(0).normal(size=(6, 3))[i % 6]
        photo = layer("photo_dense")(layer("standardise")(vector.astype("float32")))
        whole = [START, *tokens, END]
        for length in range(1, len(whole)):
            prefix = np.array([whole[:length]])
            caption = layer("lstm")(layer("embedding")(prefix))[:, -1]
            logits = layer("next_word")(layer("merge_dense")(photo + caption))
            probabilities = np.asarray(keras.ops.softmax(logits), np.float64)[0]
            one_hot = np.eye(7)[whole[length]]
            total -= float((one_hot * np.log(probabilities)).sum())
            samples += 1
    assert samples == batches.words
    assert ours == pytest.approx(total / samples, abs=1e-5)


def test_fit_begins_with_the_first_batch() -> None:
    keras.utils.set_random_seed(1)
    model, batches = build_merge(3, 7, width=8, dropout=0.0), toy_batches()
    compile_for_training(model, TrainingSettings(learning_rate=1e-2))
    inputs, targets, weights = batches[0]
    wanted = float(WordLoss()(targets, model(inputs), weights))
    found = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: found.append(logs["loss"])
    )
    model.fit(batches, verbose=0, shuffle=False, callbacks=[watch])
    assert len(found) == len(batches) and found[0] == pytest.approx(wanted, abs=1e-5)


def test_padding_does_not_change_the_loss() -> None:
    model = toy_model()
    vectors = np.ones((2, 3), "float32")
    inputs, targets, weights = shift([[4, 5], [6]])
    wider = [np.pad(part, ((0, 0), (0, 5))) for part in (inputs, targets, weights)]
    losses = [
        float(WordLoss()(t, model([vectors, i]), w))
        for i, t, w in ((inputs, targets, weights), wider)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    assert losses[0] == pytest.approx(np.log(7), abs=0.5)


def test_one_word_at_a_time_equals_the_whole_sequence() -> None:
    model = toy_model()
    vectors = np.random.default_rng(1).normal(size=(3, 3)).astype("float32")
    words = np.random.default_rng(2).integers(4, 7, size=(3, 2, 6)).astype("int32")
    words[..., 0] = START
    steps = MergeSteps(model)
    photo, state = steps.begin(vectors)
    state = [np.repeat(part, 2, axis=1) for part in state]
    for position in range(6):
        found, state = steps.step(words[..., position], photo, state)
        for hypothesis in range(2):
            logits = model([vectors, words[:, hypothesis, : position + 1]])
            wanted = np.asarray(keras.ops.log_softmax(logits))[:, -1]
            np.testing.assert_allclose(found[:, hypothesis], wanted, atol=1e-5)


def test_training_lowers_the_loss(model_folder: Path) -> None:
    rows = (model_folder / "history.csv").read_text().splitlines()
    losses = [float(row.split(",")[2]) for row in rows[1:]]
    assert len(losses) == 3
    assert losses[-1] < losses[0]
    # evaluate.py's tests may have added their scores; a checkpoint must not be left.
    names = {path.name for path in model_folder.iterdir()}
    assert names - {"scores.json", "predictions.jsonl"} == {
        "model.keras",
        "captioner.json",
        "trained_on.txt",
        "familiarity.npz",
        "film.csv",
        "history.csv",
        "curves.png",
        "model.png",
    }


def weights_of(folder: Path) -> list[np.ndarray]:
    model = keras.models.load_model(folder / "model.keras", compile=False)
    return [np.asarray(weight) for weight in model.weights]


def test_a_killed_training_ends_with_the_same_weights(
    data_folder: Path, model_folder: Path, tmp_path: Path
) -> None:
    """The fixture's training again, killed after its first epoch, resumed: equal to the bit."""
    output = tmp_path / "killed"
    command = [
        sys.executable,
        ROOT / "train.py",
        "--data",
        data_folder,
        "--output",
        output,
        "--epochs",
        3,
        "--width",
        16,
        "--batch-size",
        32,
        "--seed",
        5,
    ]
    process = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    progress = output / "checkpoint" / "progress.json"
    deadline = time.monotonic() + 120
    while not progress.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert json.loads(progress.read_text())["epoch"] < 3, "killed too late to prove anything"

    arguments = list(map(str, command[1:]))[1:]
    refused = script("train.py", *arguments)
    assert refused.returncode == 2
    assert "unfinished training" in refused.stderr
    other = script("train.py", *arguments, "--resume", "--dropout", 0.1)
    assert other.returncode == 2
    assert "--dropout is 0.1" in other.stderr
    done = script("train.py", *arguments, "--resume")
    assert done.returncode == 0, done.stderr
    for ours, theirs in zip(weights_of(output), weights_of(model_folder), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_loss_that_is_not_finite_stops_the_training(data_folder: Path, tmp_path: Path) -> None:
    done = script(
        "train.py",
        "--data",
        data_folder,
        "--output",
        tmp_path / "m",
        "--width",
        8,
        "--learning-rate",
        1e30,
        "--epochs",
        3,
    )
    assert done.returncode == 2
    assert "is not finite" in done.stderr
    assert not (tmp_path / "m" / "captioner.json").exists()


@pytest.mark.parametrize(
    ("decoder", "width", "heads"),
    [
        ("transformer", 16, 6),
        ("attention", 6, 4),
    ],
)
def test_a_width_that_the_heads_can_not_divide_is_refused(
    tmp_path: Path, decoder: str, width: int, heads: int
) -> None:
    done = script("train.py", "--decoder", decoder, "--width", width, "--data", tmp_path)
    assert done.returncode == 2
    assert f"--width {width} is not a multiple of {heads}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_is_trained_further_on_corrected_captions(
    grids_models: dict[str, Path], scenes_folder: Path, tmp_path: Path
) -> None:
    from captioning.app.corrections import Correction, write_corrections
    from captioning.data.splits import split_by_name

    images, model = scenes_folder / "Flicker8k_Dataset", grids_models["transformer"]
    names = sorted(path.name for path in images.iterdir())[:30]
    assert all(split_by_name(names)[split] for split in ("train", "dev"))
    rows = [Correction(name, "a zebra on the grass", "a car") for name in names]
    write_corrections(tmp_path / "corrections.jsonl", rows)
    prepare = ["features.py", "--images", images, "--text", tmp_path, "--output"]
    done = script(*prepare, tmp_path / "data", "--like", model)
    assert done.returncode == 0, done.stderr
    further = [
        "train.py",
        "--initial",
        model,
        "--epochs",
        1,
        "--output",
        tmp_path / "more",
        "--data",
    ]
    done = script(*further, tmp_path / "data")
    assert done.returncode == 0, done.stderr
    about, before = read_description(tmp_path / "more"), read_description(model)
    assert about["words"] == before["words"] and "zebra" not in about["words"]
    assert about["training"]["before"] == before["training"]
    done = script(*prepare, tmp_path / "other", "--encoder", "mini-xception", "--grids")
    assert done.returncode == 0, done.stderr
    done = script(*further, tmp_path / "other", "--overwrite")
    assert done.returncode == 2
    assert "another vocabulary" in done.stderr and "features.py --like" in done.stderr
