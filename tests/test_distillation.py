"""Distillation: soft targets of teachers, their mixture with the captions, and the training."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from captioning.data.prepared import Prepared, read_prepared
from captioning.data.text import END, START
from captioning.errors import CaptioningError
from captioning.inference.description import read_description
from captioning.inference.trained_model import load_trained_model
from captioning.inference.trained_on import trained_on, write_trained_on
from captioning.training.batches import CaptionBatches, PhotoBatches
from captioning.training.distillation import (
    TEACHER_SHARE,
    TOP_WORDS,
    DistillationBatches,
    SoftTargets,
    compute_soft_targets,
)
from captioning.training.loop import train
from captioning.training.losses import WordLoss
from captioning.training.settings import TrainingSettings
from captioning.training.starting_point import StartingPoint
from captioning.vision.features import Features
from tests.conftest import ROOT, script

CAPTIONS = [[[4, 5], [6]], [[5, 4, 6]], [[6, 6], [4], [5, 5]]]
"""Of three photos."""


def toy_soft_targets() -> SoftTargets:
    """At each step of caption n: word 4 + n % 3 with probability 3/4, word 3 with 1/4."""
    flat = [tokens for own in CAPTIONS for tokens in own]
    words = [np.array([[4 + n % 3, 3]] * (len(tokens) + 1)) for n, tokens in enumerate(flat)]
    probabilities = [np.tile(np.float16([0.75, 0.25]), (len(tokens) + 1, 1)) for tokens in flat]
    return SoftTargets(words, probabilities, 7)


def test_targets_mix_the_teachers_with_the_captions() -> None:
    exact = np.array([[6, END, 0], [4, 5, END]])
    soft = toy_soft_targets().mix(np.array([1, -1]), exact)
    assert soft.shape == (2, 3, 7)
    wanted = np.zeros(7)
    wanted[[5, 3, 6]] = 0.75 * TEACHER_SHARE, 0.25 * TEACHER_SHARE, 1 - TEACHER_SHARE
    np.testing.assert_allclose(soft[0, 0], wanted, atol=1e-3)
    np.testing.assert_allclose(soft[0, :2].sum(axis=-1), 1, atol=1e-3)
    assert soft[1, 0, 4] == pytest.approx(1 - TEACHER_SHARE)  # no caption there: no soft target
    assert soft[1].sum() == pytest.approx(3 * (1 - TEACHER_SHARE))


@pytest.mark.parametrize("kind", [CaptionBatches, PhotoBatches])
def test_each_caption_of_a_batch_gets_its_own_soft_targets(kind: type) -> None:
    photos = np.zeros((3, 2, 4), np.float16)
    if kind is PhotoBatches:
        batches = PhotoBatches(photos, np.arange(3)[:, None], CAPTIONS, 2)
    else:
        flat = [tokens for own in CAPTIONS for tokens in own]
        batches = CaptionBatches(photos[:, 0], np.array([0, 0, 1, 2, 2, 2]), flat, 2)
    every = [tokens for own in CAPTIONS for tokens in own]
    distilled = DistillationBatches(batches, toy_soft_targets())
    distilled.start_epoch(1)
    assert batches.epoch == 1
    found = []
    for index in range(len(distilled)):
        (_, words), soft, weights = distilled[index]
        length = words.shape[-1]
        places = batches.captions_at(index).reshape(-1)
        for place, row, target, weight in zip(
            places,
            words.reshape(-1, length),
            soft.reshape(-1, length, 7),
            weights.reshape(-1, length),
            strict=True,
        ):
            if place < 0:
                assert not weight.any()
                continue
            found.append(place)
            assert row[0] == START
            assert row[1 : 1 + len(every[place])].tolist() == every[place]
            first = every[place][0]
            assert target[0, 4 + place % 3] == pytest.approx(
                0.75 * TEACHER_SHARE + (1 - TEACHER_SHARE) * (first == 4 + place % 3), abs=1e-3
            )
    assert sorted(found) == list(range(6))


def test_the_loss_of_a_one_hot_target_is_that_of_the_word() -> None:
    logits = np.random.default_rng(0).normal(size=(2, 3, 4, 7)).astype("float32")
    exact = np.random.default_rng(1).integers(0, 7, (2, 3, 4))
    weights = np.random.default_rng(2).integers(0, 2, (2, 3, 4)).astype("float32")
    one_hot = np.eye(7, dtype="float32")[exact]
    ours, wanted = (float(WordLoss()(target, logits, weights)) for target in (one_hot, exact))
    assert ours == pytest.approx(wanted, abs=1e-5)
    uniform = np.full_like(logits, 1 / 7)
    log_probabilities = np.asarray(keras.ops.log_softmax(logits))
    assert float(WordLoss()(uniform, logits)) == pytest.approx(-log_probabilities.mean(), abs=1e-5)


def test_soft_targets_are_the_mean_over_teachers_and_views(
    grids_folder: Path, grids_models: dict[str, Path]
) -> None:
    prepared = read_prepared(grids_folder)
    models = [load_trained_model(grids_models[name]).model for name in ("merge", "transformer")]
    some = Prepared(
        prepared.captions,
        prepared.splits | {"train": prepared.splits["train"][:3]},
        prepared.tokenizer,
        prepared.features,
    )
    soft_targets = compute_soft_targets([(m, prepared.features) for m in models], some)
    place = 0
    for name in some.splits["train"]:
        views = prepared.features.grids[prepared.features.rows[name]]  # (views, regions, D)
        for caption in prepared.captions[name]:
            tokens = prepared.tokenizer.encode(caption)
            words = np.array([[START, *tokens]])
            logits = [models[0]([prepared.features.matrix([name]), words])[0]]
            logits += [models[1]([view[None], words[None]])[0, 0] for view in views]
            mean = np.mean([np.asarray(keras.ops.softmax(one)) for one in logits], axis=0)
            soft = soft_targets.mix(np.array([place]), np.array([[*tokens, END]]))[0]
            for row, wanted, own_word in zip(soft, mean, [*tokens, END], strict=True):
                row[own_word] -= 1 - TEACHER_SHARE
                rest = np.sort(wanted)[:-TOP_WORDS]
                np.testing.assert_allclose(row.sum(), TEACHER_SHARE, atol=2e-3)
                best = wanted.argmax()
                assert row[best] == pytest.approx(
                    TEACHER_SHARE * wanted[best] / (1 - rest.sum()), abs=2e-3
                )
            place += 1


def test_a_teacher_reads_what_its_own_encoder_gave(
    grids_folder: Path, grids_models: dict[str, Path]
) -> None:
    own = read_prepared(grids_folder)
    names = own.splits["train"][:3]
    noise = np.random.default_rng(3).normal(size=(len(own.features.vectors), 1, 8))
    other = Features(
        dict(zip(own.features.vectors, noise.astype(np.float32), strict=True)),
        own.features.made_by | {"name": "efficientnet-lite0", "vector_size": 8},
    )
    student = Prepared(own.captions, own.splits | {"train": names}, own.tokenizer, other)
    teacher = load_trained_model(grids_models["transformer"])
    with pytest.raises(CaptioningError, match="reads what the encoder mini-xception gives.*--like"):
        StartingPoint(teachers=[teacher]).check(student, "merge")
    start = StartingPoint(teachers=[teacher], teacher_features=[own.features])
    start.check(student, "merge")
    features = start.features_for(teacher, student)
    assert features is own.features
    found = compute_soft_targets([(teacher.model, features)], student)
    wanted = compute_soft_targets(
        [(teacher.model, own.features)],
        Prepared(own.captions, own.splits | {"train": names}, own.tokenizer, own.features),
    )
    tokens = [*own.tokenizer.encode(own.captions[names[0]][0]), END]
    mixed = [soft.mix(np.array([0]), np.array([tokens])) for soft in (found, wanted)]
    np.testing.assert_array_equal(*mixed)
    # The grid is read, not the student's noise: another photo's grid gives other targets.
    with pytest.raises(CaptioningError, match="no vector|grid"):
        compute_soft_targets([(teacher.model, other)], student)


@pytest.mark.parametrize("decoder", ["merge", "transformer"])
def test_a_training_with_teachers(
    decoder: str, grids_folder: Path, grids_models: dict[str, Path], tmp_path: Path
) -> None:
    output = tmp_path / "student"
    command = [
        "train.py",
        "--data",
        grids_folder,
        "--decoder",
        decoder,
        "--output",
        output,
        "--epochs",
        4,
        "--width",
        24,
        "--batch-size",
        8,
        "--learning-rate",
        3e-3,
        "--seed",
        5,
        "--teacher",
        grids_models["transformer"],
        "--teacher",
        grids_models["attention"],
    ]
    done = script(*command)
    assert done.returncode == 0, done.stderr
    assert "soft targets of 2 teachers" in done.stderr
    training = read_description(output)["training"]
    assert training["data"]["teachers"] == ["transformer", "attention"]
    assert training["settings"]["smoothing"] == 0
    alone = read_description(grids_models[decoder])["training"]
    assert training["best_of_dev"]["dev_loss"] != alone["best_of_dev"]["dev_loss"]
    assert training["best_of_dev"]["dev_loss"] < np.log(read_prepared(grids_folder).tokenizer.size)


def test_a_stopped_training_with_teachers_ends_with_the_same_weights(
    grids_folder: Path, grids_models: dict[str, Path], tmp_path: Path
) -> None:
    prepared = read_prepared(grids_folder)
    settings = TrainingSettings(
        "transformer",
        width=12,
        dropout=0.2,
        batch_size=16,
        epochs=2,
        schedule="cosine",
    )

    def run(folder: str, **options: Any) -> list[np.ndarray]:
        start = StartingPoint(teachers=[load_trained_model(grids_models["merge"])])
        model, _ = train(prepared, settings, tmp_path / folder, starting_point=start, **options)
        return [np.asarray(weight) for weight in model.trainable_weights]

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("stopped", records=SimpleNamespace(score=lambda model: {}, write=stop))
    for ours, theirs in zip(run("stopped", resume=True), run("undisturbed"), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(CaptioningError, match="the data's teachers"):
        train(prepared, settings, tmp_path / "stopped", resume=True)


def test_photos_of_the_teachers_count_as_trained_on(
    grids_folder: Path, grids_models: dict[str, Path], tmp_path: Path
) -> None:
    """What a teacher learned from a photo of dev, it passes on to its student."""
    teacher = tmp_path / "teacher"
    teacher.mkdir()
    for file in grids_models["merge"].iterdir():
        (teacher / file.name).write_bytes(file.read_bytes())
    prepared = read_prepared(grids_folder)
    dev = prepared.splits["dev"]
    write_trained_on(tmp_path, dev[:1], prepared.features.contents)
    (teacher / "trained_on.txt").write_text((tmp_path / "trained_on.txt").read_text())
    output = tmp_path / "student"
    done = script(
        "train.py",
        "--data",
        grids_folder,
        "--output",
        output,
        "--epochs",
        1,
        "--width",
        8,
        "--teacher",
        teacher,
    )
    assert done.returncode == 0, done.stderr
    assert trained_on(output, dev) == set(dev[:1])


def test_unusable_teachers_are_refused(
    grids_folder: Path, grids_models: dict[str, Path], tmp_path: Path
) -> None:
    command = ["train.py", "--data", grids_folder, "--output", tmp_path / "m"]
    finetuned = script(
        *command,
        "--initial",
        grids_models["merge"],
        "--finetune",
        "cider",
        "--teacher",
        grids_models["merge"],
    )
    assert finetuned.returncode == 2
    assert "--teacher has no meaning for --finetune" in finetuned.stderr
    smoothed = script(*command, "--smoothing", 0.1, "--teacher", grids_models["merge"])
    assert smoothed.returncode == 2
    assert "--smoothing has no meaning with --teacher" in smoothed.stderr
    stranger = script(*command, "--teacher", ROOT / "models" / "flickr8k-merge")
    assert stranger.returncode == 2
    assert "flickr8k-merge has another vocabulary" in stranger.stderr
    unfinished = tmp_path / "m" / "checkpoint" / "progress.json"
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    unfinished.write_text("{}")
    again = script(*command, "--overwrite", "--teacher", ROOT / "models" / "flickr8k-merge")
    assert again.returncode == 2
    assert unfinished.exists()  # nothing was started: what is there stays
    unfinished.unlink()
    missing = script(*command, "--teacher", tmp_path / "none")
    assert missing.returncode == 2
    assert "Traceback" not in missing.stderr
    assert not (tmp_path / "m" / "captioner.json").exists()


def test_rows_of_an_older_version_are_not_repeated(tmp_path: Path) -> None:
    name, contents = "1000268201_693b08cb0e.jpg", {"1000268201_693b08cb0e.jpg": "ab" * 32}
    write_trained_on(tmp_path, [name], contents)
    (row,) = (tmp_path / "trained_on.txt").read_text().splitlines()
    (tmp_path / "trained_on.txt").write_text(" ".join(row.split()[:2]) + "\n" + "f" * 12 + "\n")
    write_trained_on(tmp_path, [name], contents, [tmp_path])
    assert (tmp_path / "trained_on.txt").read_text().splitlines() == [row, "f" * 12]
