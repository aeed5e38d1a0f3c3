"""The film strip: the same photos captioned after each epoch."""

import json
from pathlib import Path

import pytest
from PIL import Image

from captioning import load
from captioning.commands.train import draw_film_of, say_time_left
from captioning.data.prepared import read_prepared
from captioning.errors import CaptioningError
from captioning.evaluation.predictions import caption_photos
from captioning.pictures.figures import BLUE, INK, ORANGE
from captioning.pictures.film_strip import MOST, chosen, draw_film
from captioning.training.checkpoint import Progress
from captioning.training.few_photos import FewPhotos
from captioning.training.film import read_film


@pytest.mark.parametrize("decoder", ["merge", "attention", "transformer"])
def test_a_training_leaves_the_captions_of_four_dev_photos_after_each_epoch(
    decoder: str, grids_models: dict[str, Path], grids_folder: Path
) -> None:
    folder, prepared = grids_models[decoder], read_prepared(grids_folder)
    film, filmed = read_film(folder), FewPhotos(prepared).filmed
    epochs = json.loads((folder / "captioner.json").read_text())["training"]["epochs"]
    assert list(film) == list(range(1, epochs + 1))
    for row in film.values():
        assert list(row) == filmed
    assert len(filmed) == 4 and set(filmed) <= set(prepared.splits["dev"])
    # The model that was kept says what the film says of its epoch.
    best = json.loads((folder / "captioner.json").read_text())["training"]["best_epoch"]
    found = caption_photos(load(folder), prepared, filmed, beam=1)
    assert film[best] == {name: caption for name, (caption, _) in found.items()}


def test_film_png_stands_beside_the_curves_where_the_photos_are(
    grids_models: dict[str, Path], scenes_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "film.csv").write_bytes((grids_models["merge"] / "film.csv").read_bytes())
    draw_film_of(tmp_path, tmp_path)
    assert not (tmp_path / "film.png").exists()
    draw_film_of(tmp_path, scenes_folder / "Flicker8k_Dataset")
    with Image.open(tmp_path / "film.png") as image:
        assert image.width > image.height / 2 > 100
    (tmp_path / "film.csv").write_text("epoch,a.jpg\none,two,three\n")
    with pytest.raises(CaptioningError, match="not a table of epochs"):
        read_film(tmp_path)


def test_a_caption_that_changed_is_marked() -> None:
    photos = {name: Image.new("RGB", (30, 20)) for name in ("a", "b")}
    film = {1: {"a": "dog", "b": "cat"}, 2: {"a": "a dog", "b": "cat"}}
    figure = draw_film(photos, film)
    texts = {(text.get_text(), text.get_color()) for axes in figure.axes for text in axes.texts}
    assert texts == {
        *(("epoch 1", BLUE), ("epoch 2", BLUE)),
        *(("dog", INK), ("cat", INK), ("a dog", ORANGE)),
    }


def test_of_many_epochs_the_first_and_the_last_are_shown() -> None:
    assert chosen([1, 2, 3]) == [1, 2, 3]
    shown = chosen(list(range(1, 41)))
    assert len(shown) == MOST and (shown[0], shown[-1]) == (1, 40)
    assert shown[1] - shown[0] < shown[-1] - shown[-2]


def test_the_time_that_is_left_is_said_after_each_epoch_but_the_last(
    capsys: pytest.CaptureFixture,
) -> None:
    progress = Progress({"epochs": 6, "patience": 9}, {})
    told = {}
    # The first epoch compiles the model, and the fourth is the first after a --resume.
    for epoch, seconds in ((1, 300.0), (2, 100.0), (3, 110.0), (4, 400.0)):
        progress.epoch = epoch
        progress.record({"epoch": epoch, "seconds": seconds}, -1 / epoch)
        say_time_left(progress)
        told[epoch] = capsys.readouterr().err
    start = "best so far: epoch {}; epochs left: {} at the most, in {} h\n"
    assert told == {
        1: start.format(1, 5, "less than 0:25:00"),
        2: start.format(2, 4, "0:06:40"),
        3: start.format(3, 3, "0:05:15"),
        4: start.format(4, 2, "0:03:40"),
    }
    progress.epoch = 6
    say_time_left(progress)
    assert capsys.readouterr().err == ""
