"""TensorBoard: each epoch's losses and scores, by Keras' own callback."""

import csv
from pathlib import Path

import pytest

from captioning.data.prepared import read_prepared
from captioning.errors import CaptioningError
from captioning.training import event_log
from captioning.training.event_log import EVENTS, check_log_folder
from captioning.training.few_photos import FewPhotos
from captioning.training.history import read_history, write_history
from captioning.training.records import Watch
from captioning.training.run import train_model
from captioning.training.settings import TrainingSettings


def logged(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard reads in a folder: of each name (epoch, value)."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    found = EventAccumulator(str(folder))
    found.Reload()
    return {
        name: [
            (event.step, float(make_ndarray(event.tensor_proto))) for event in found.Tensors(name)
        ]
        for name in found.Tags()["tensors"]
        if name != "keras"
    }


def test_tensorboard_has_what_the_history_has_also_of_a_resumed_training(
    data_folder: Path, tmp_path: Path
) -> None:
    prepared, log = read_prepared(data_folder), tmp_path / "log"

    def interrupted(progress: object) -> None:
        raise KeyboardInterrupt

    settings = TrainingSettings(width=8, batch_size=64, epochs=2, seed=1)
    with pytest.raises(KeyboardInterrupt):
        train_model(prepared, settings, tmp_path / "model", watch=Watch(log, interrupted))
    train_model(prepared, settings, tmp_path / "model", resume=True, watch=Watch(log))
    history = read_history(tmp_path / "model")
    assert [row["epoch"] for row in history] == [1, 2]
    for place, name, column in (
        ("train", "epoch_loss", "loss"),
        ("train", "epoch_learning_rate", "learning_rate"),
        ("validation", "epoch_loss", "dev_loss"),
        ("validation", "epoch_few_dev_CIDEr", "few_dev_CIDEr"),
    ):
        wanted = [(row["epoch"], pytest.approx(row[column], rel=1e-5)) for row in history]
        assert logged(log / place)[name] == wanted, name


def test_the_cider_of_a_few_dev_photos_is_that_of_their_greedy_captions(data_folder: Path) -> None:
    few = FewPhotos(read_prepared(data_folder))
    assert len(few.scored) == 20 and set(few.filmed) <= set(few.scored)
    right = {name: few._prepared.captions[name][0] for name in few.scored}
    encode = few._prepared.tokenizer.encode
    everyones = few.cider({name: tuple(encode(caption)) for name, caption in right.items()})
    empty = few.cider(dict.fromkeys(few.scored, ()))
    assert everyones > 100 > empty


def test_a_history_goes_on_that_began_without_the_column(tmp_path: Path) -> None:
    old = {"epoch": 1, "loss": 3.0, "dev_loss": 3.5, "learning_rate": 0.1, "seconds": 9.0}
    new = {**old, "epoch": 2, "few_dev_CIDEr": 12.5}
    write_history(tmp_path, [old, new])
    with (tmp_path / "history.csv").open() as file:
        assert [row["few_dev_CIDEr"] for row in csv.DictReader(file)] == ["", "12.5"]
    assert read_history(tmp_path) == [old, new]


def test_what_cannot_be_logged_is_told_before_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = tmp_path / "log" / "train" / EVENTS.replace("*", "1.me")
    event.parent.mkdir(parents=True)
    event.touch()
    with pytest.raises(CaptioningError, match="the log of another training"):
        check_log_folder(tmp_path / "log", add=False, replace=False)
    check_log_folder(tmp_path / "log", add=True, replace=False)
    assert event.exists()
    check_log_folder(tmp_path / "log", add=False, replace=True)
    assert not event.exists()
    (tmp_path / "file").touch()
    with pytest.raises(CaptioningError, match="is no folder"):
        check_log_folder(tmp_path / "file", add=False, replace=False)
    monkeypatch.setattr(event_log, "find_spec", lambda name: None)
    with pytest.raises(CaptioningError, match="pip install tensorflow tensorboard"):
        check_log_folder(tmp_path / "log", add=False, replace=False)
