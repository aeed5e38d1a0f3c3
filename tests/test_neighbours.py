"""The nearest training photos' captions, and how they choose among a beam's."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from captioning.data.cider import CiderD, NgramWeights, count_ngrams, similarities
from captioning.data.prepared import Prepared
from captioning.data.text import Tokenizer
from captioning.errors import CaptioningError
from captioning.files.text import write_json
from captioning.inference import neighbours as module
from captioning.inference.choosing import Judges
from captioning.inference.loading import load
from captioning.inference.neighbours import Neighbours
from captioning.inference.search import Hypothesis
from captioning.inference.settings import DecodingOptions, DecodingSettings
from captioning.vision.features import Features
from tests.conftest import ROOT, Run
from tests.made_up_data import write_made_up_data

DOGS = ["a dog runs", "a brown dog runs on grass", "the dog is running"]
CARS = ["a red car", "a car on the street", "the car is red"]


def prepared_of(vectors: np.ndarray, captions: list[list[str]]) -> Prepared:
    """Training photos 0.jpg, 1.jpg and so on; the first is dev's as well."""
    names = [f"{place}.jpg" for place in range(len(vectors))]
    rows = vectors.astype(np.float32)[:, None]
    return Prepared(
        dict(zip(names, captions, strict=True)),
        {"train": names, "dev": names[:1]},
        Tokenizer(("dog",)),
        Features(dict(zip(names, rows, strict=True)), {}),
    )


@pytest.fixture
def dogs_and_cars() -> Neighbours:
    """Three photos of dogs look to the left, three of cars to the right."""
    vectors = np.array([[-3, 1], [-3, 0.5], [-3, 0.1], [3, -1], [3, -0.5], [3, -0.1]])
    return Neighbours(prepared_of(vectors, [DOGS] * 3 + [CARS] * 3))


def test_captions_agree_with_those_of_photos_that_look_alike(
    dogs_and_cars: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NEAREST", 3)
    monkeypatch.setattr(module, "MOST_ALIKE", 4)
    monkeypatch.setattr(module, "SAME_PHOTO", 1.1)  # in two dimensions all are alike
    photos = np.array([[-2.5, 0.7], [2.5, -0.7]], np.float32)
    captions = ["a dog runs", "a car on the street", "nothing of it"]
    left, right = dogs_and_cars.consensus(photos, [captions, captions])
    assert left[0] > 0.2 > 0.01 > left[1] and right[1] > 0.2 > 0.01 > right[0]
    assert left[2] == right[2] == 0
    # The mean of the four that are most like it: three times the same caption, and another.
    ngrams = NgramWeights(
        [[count_ngrams(c.split()) for c in own] for own in [DOGS] * 3 + [CARS] * 3]
    )
    said, one, other, third = (ngrams.weigh(count_ngrams(c.split())) for c in (DOGS[0], *DOGS))
    alike = similarities([said], [one, other, third])[0]
    assert alike[0] == pytest.approx(0.75)  # the same three words, and no n-gram of four
    assert left[0] == pytest.approx((3 * alike[0] + max(alike[1:])) / 4)


def test_a_photo_s_own_captions_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 8))
    captions = [[f"word{place} {'alone' if place < 10 else 'here'}"] for place in range(20)]
    near = Neighbours(prepared_of(vectors, captions))
    (found,) = near.consensus(vectors[4:5].astype(np.float32), [["word4 alone"]])
    (shown,) = near.consensus(vectors[4:5].astype(np.float32), [["word5 alone"]])
    assert 0 < found[0] < shown[0]
    # The same with vectors that were made in another precision; and where there is no other photo.
    noise = 1 + 0.01 * np.random.default_rng(1).normal(size=8)
    (again,) = near.consensus((vectors[4:5] * noise).astype(np.float32), [["word4 alone"]])
    assert again == pytest.approx(found)
    monkeypatch.setattr(module, "SAME_PHOTO", -1.1)  # all are the same one
    (nothing,) = near.consensus(vectors[4:5].astype(np.float32), [["word4 alone", "here"]])
    assert nothing.tolist() == [0, 0]


def test_similarities_are_cider_of_one_reference_each() -> None:
    references = [["a dog runs on the grass"], ["a dog sits"], ["two cats"]]
    scorer = CiderD([[c.split() for c in own] for own in references])
    ngrams = NgramWeights([[count_ngrams(c.split()) for c in own] for own in references])
    captions = ["a dog runs", "two cats", "word", ""]
    table = similarities(
        [ngrams.weigh(count_ngrams(c.split())) for c in captions],
        [ngrams.weigh(count_ngrams(own[0].split())) for own in references],
    )
    wanted = [[scorer.score(photo, c.split()) / 10 for photo in range(3)] for c in captions]
    np.testing.assert_allclose(table, wanted, atol=1e-12)
    assert table[1, 2] == pytest.approx(0.5)  # one and two words are the same, of four lengths
    assert similarities([], []).shape == (0, 0)


def test_what_is_asked_for_and_not_there_is_refused(dogs_and_cars: Neighbours) -> None:
    settings = DecodingSettings(max_words=9, beam=8, critic=1.0, neighbours=1.5)
    nothing = DecodingOptions()
    settled = Judges().settle(settings, nothing, "models/m")
    assert (settled.critic, settled.neighbours) == (0, 0)
    assert Judges(None, dogs_and_cars).settle(settings, nothing, "models/m").neighbours == 1.5
    with pytest.raises(CaptioningError, match="training data: name their folder"):
        Judges().settle(settings, DecodingOptions(neighbours=1.0), "models/m")
    assert str(settings).endswith(", critic 1.0, neighbours 1.5")


def test_the_caption_that_agrees_is_chosen(
    dogs_and_cars: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NEAREST", 3)
    monkeypatch.setattr(module, "SAME_PHOTO", 1.1)
    said = {1: "a car on the street", 2: "a dog runs"}
    found = [[Hypothesis((1,), -1.0), Hypothesis((2,), -1.2)]] * 2
    photos = np.array([[-2.5, 0.7], [2.5, -0.7]], np.float32)

    def first(weight: float) -> list[int]:
        settings = DecodingSettings(max_words=9, beam=2, neighbours=weight)
        chosen = Judges(None, dogs_and_cars).choose(
            found, [photos], settings, lambda h: said[h.tokens[0]]
        )
        return [own[0].tokens[0] for own in chosen]

    assert first(0.0) == [1, 1]
    assert first(2.0) == [2, 1]


def test_it_needs_the_core_packages_alone() -> None:
    program = (
        "import sys; import captioning.inference.neighbours; import captioning.data.prepared; "
        "print({'keras', 'tensorflow', 'pycocoevalcap'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_a_captioner_with_neighbours(model_folder: Path, data_folder: Path) -> None:
    """The toy model and its own training data; vectors of dev photos."""
    from captioning.data.prepared import read_prepared

    prepared = read_prepared(data_folder)
    vectors = prepared.features.matrix(prepared.splits["dev"])
    captioner = load(model_folder, neighbours=data_folder)
    assert captioner.decoder.settings(beam=8).neighbours == 1.5
    plain = captioner.decoder.decode(vectors, beam=8, neighbours=0.0)
    chosen = captioner.decoder.decode(vectors, beam=8, neighbours=50.0)
    assert [own[0] for own in plain] != [own[0] for own in chosen]
    near = Neighbours(prepared)
    for own, vector in zip(chosen, vectors, strict=True):
        (shares,) = near.consensus(vector[None], [[captioner.decoder.text(h) for h in own]])
        sums = [h.score + 50 * share for h, share in zip(own, shares, strict=True)]
        assert sums == sorted(sums, reverse=True)


def test_the_command_with_neighbours_and_what_it_refuses(
    run_caption: Run, odd_photos: Path, data_folder: Path, tmp_path: Path
) -> None:
    photo = odd_photos / "colour.png"
    code, output, messages = run_caption(
        "-i", photo, "--beam", 4, "--neighbours", data_folder, "--neighbours-weight", 3
    )
    assert code == 0 and output.strip(), messages
    for options, reason in (
        (("--neighbours", tmp_path / "none", "--beam", 4), "is missing; make it with"),
        (("--neighbours", data_folder), "give --beam too"),
        (("--beam", 4, "--neighbours-weight", 1), "wants --neighbours"),
        (
            ("--beam", 4, "--neighbours", data_folder, "--neighbours-weight", -1),
            "--neighbours-weight -1.0 is not from 0 to 100",
        ),
    ):
        code, output, messages = run_caption("-i", photo, *options)
        assert code == 2 and not output and reason in messages, messages


def test_data_of_another_encoder_or_without_training_photos(
    run_caption: Run, odd_photos: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    write_made_up_data(data)  # mini-xception as well, but of unknown weights
    about = json.loads((data / "features.json").read_text())
    write_json(data / "features.json", about | {"made_by": {**about["made_by"], "layer": "other"}})
    command = ("-i", odd_photos / "colour.png", "--beam", 4, "--neighbours", data)
    code, _, messages = run_caption(*command)
    assert code == 2 and f"--neighbours {data}: the vectors were made with layer" in messages
    assert "--like" in messages
    write_json(data / "splits.json", {"train": [], "dev": ["14.jpg"]})
    code, _, messages = run_caption(*command)
    assert code == 2 and "the train split of" in messages and "features" in messages
    write_json(data / "splits.json", {"train": ["0.jpg"], "dev": ["14.jpg"]})
    (data / "descriptions.txt").write_text("14.jpg\ta dog\n")
    code, _, messages = run_caption(*command)
    assert code == 2 and "no photo with vector and caption" in messages
