"""Models of other projects caption as their own programs did, word for word."""

import json
import pickle
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tf_keras
from PIL import Image

from captioning.commands.run import run_command
from captioning.decoders.ensemble import Ensemble
from captioning.decoders.rebuilding import rebuild
from captioning.errors import CaptioningError
from captioning.files.network_files import read_network
from captioning.inference.caption_decoder import CaptionDecoder
from captioning.inference.other_models import OtherFiles, read_other_model
from captioning.vision.networks import load_network
from tests.conftest import ROOT, Run
from tests.old_networks import KINDS, build, old_caption, save
from tests.old_pickles import MODULES, attributes, pickled_tokenizer

LENGTH, VECTOR = 8, 224  # mini-xception's vectors have 224 numbers

CAPTIONS = [
    "start black dog runs through the grass end",
    "start man in red shirt climbs rock at the end end",
    "start two girls play in the water end",
    "start dog jumps over the start line end",
]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Run:
    """A command of the repository's scripts, in this process."""

    def call(name: str, *arguments: object) -> tuple[int, str, str]:
        script = {"caption": "caption_generator"}.get(name, name)
        monkeypatch.setattr(sys, "argv", [f"{script}.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run_command(name)
        return ended.value.code, *capsys.readouterr()

    return call


@pytest.fixture(scope="module")
def tokenizer() -> tf_keras.preprocessing.text.Tokenizer:
    made = tf_keras.preprocessing.text.Tokenizer()
    made.fit_on_texts(CAPTIONS)
    return made


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory, tokenizer) -> Iterator[SimpleNamespace]:
    """Models of each kind, by Keras 2 and 3, in every form, and their tokenizer."""
    folder = tmp_path_factory.mktemp("old")
    (folder / "tokenizer.p").write_bytes(pickle.dumps(tokenizer, 4))
    numbers = len(tokenizer.word_index) + 1
    models, files = {}, {}
    for k in (tf_keras, keras):
        for kind in KINDS:
            key = k.__name__, kind
            models[key] = build(k, kind, VECTOR, LENGTH, numbers)
            files[key] = save(models[key], folder, f"{k.__name__}_{kind}")
    yield SimpleNamespace(folder=folder, models=models, files=files, numbers=numbers)


def decoder_of(model: Path, tokenizer: Path, **options: object) -> CaptionDecoder:
    other = read_other_model(OtherFiles(model, tokenizer, **options))
    return CaptionDecoder(other.about, Ensemble([other.steps]))


def without_markers(text: str) -> str:
    return text.removeprefix("start ").removesuffix(" end")


VECTORS = np.random.default_rng(3).normal(0, 1, (8, VECTOR)).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("module", ["tf_keras", "keras"])
def test_every_kind_in_every_form_says_the_same(module, kind, old, tokenizer) -> None:
    model = old.models[module, kind]

    def predict(inputs: list) -> np.ndarray:
        return model.predict_on_batch(inputs)

    wanted = [old_caption(predict, tokenizer, vector[None], LENGTH) for vector in VECTORS]
    # An empty caption, which the old script could give, never comes: a word is said in any case.
    said = [place for place, text in enumerate(wanted) if text != "start end"]
    assert len({wanted[place] for place in said}) > 2, "the photos' captions differ"
    for place, file in enumerate(old.files[module, kind]):
        # One form in full; of the others, that the network computes the same.
        if place:
            rows = np.random.default_rng(0).integers(0, old.numbers, (8, LENGTH))
            rows[:, :3] = 0
            found = rebuild(read_network(file)).predict_on_batch([VECTORS, rows])
            np.testing.assert_allclose(found, predict([VECTORS, rows]), rtol=1e-5, atol=1e-7)
            continue
        decoder = decoder_of(file, old.folder / "tokenizer.p")
        found = [decoder.text(best) for (best, *_) in decoder.decode(VECTORS)]
        # As the old script shows them, without its start and end; it may end without one.
        assert [found[place] for place in said] == [without_markers(wanted[p]) for p in said]


def old_vector(photo: Path) -> np.ndarray:
    """What the old script computes of a photo, here of mini-xception."""
    network = load_network("mini-xception")
    pixels = np.array(Image.open(photo).convert("RGB").resize((96, 96)))[None] / 127.5 - 1.0
    return np.asarray(network.predict_on_batch(pixels)).mean(axis=(1, 2))


def test_captions_convert_and_scores(old, tokenizer, run: Run, tmp_path: Path) -> None:
    """As a user does: caption with the old files, convert them, caption and score the folder."""
    model, pickled = old.files["tf_keras", "merge"][0], old.folder / "tokenizer.p"
    photos = [ROOT / "samples" / f"{name}.jpg" for name in ("cat", "coffee", "rocket")]
    wanted = [
        old_caption(
            old.models["tf_keras", "merge"].predict_on_batch, tokenizer, old_vector(photo), LENGTH
        )
        for photo in photos
    ]
    wanted = list(map(without_markers, wanted))
    code, output, messages = run(
        "caption", "-i", *photos, "--model", model, "--tokenizer", pickled, "--format", "jsonl"
    )
    assert code == 0, messages
    assert [json.loads(line)["caption"] for line in output.splitlines()] == wanted
    assert "encoder: mini-xception" in messages

    folder = tmp_path / "converted"
    command = ["convert", "--model", model, "--tokenizer", pickled, "--output", folder]
    code, _, messages = run(*command)
    assert code == 0, messages
    assert f"next: python caption_generator.py --model {folder}" in messages
    code, output, messages = run("caption", "-i", photos[0], "--model", folder)
    assert (code, output.strip()) == (0, wanted[0]), messages
    assert "exists already" in run(*command)[2]
    code, _, messages = run("export", folder)
    assert code == 2 and "not be trained further or exported" in messages

    # Its data, too: scores of the converted model on the old vectors.
    data = tmp_path / "data"
    vectors = {f"photo{place}.jpg": vector[None] for place, vector in enumerate(VECTORS)}
    (tmp_path / "features.p").write_bytes(pickle.dumps(vectors, 2))
    rows = [f"{name}\t{caption}" for name in vectors for caption in CAPTIONS]
    (tmp_path / "descriptions.txt").write_text("\r\n".join(rows), newline="")
    (tmp_path / "Flickr_8k.trainImages.txt").write_text("photo0.jpg\nphoto1.jpg\nphoto2.jpg")
    (tmp_path / "Flickr_8k.devImages.txt").write_text("photo3.jpg\nphoto4.jpg\nphoto5.jpg")
    code, _, messages = run(
        *("convert", "--features", tmp_path / "features.p", "--text", tmp_path),
        *("--descriptions", tmp_path / "descriptions.txt", "--output", data),
    )
    assert code == 0, messages
    code, output, messages = run(
        *("evaluate", "--model", folder, "--data", data, "--no-meteor", "--format", "json")
    )
    assert code == 0, messages
    assert json.loads(output)["photos"] == 3


def test_files_that_dont_fit_name_both_sizes(old, run: Run, tmp_path: Path) -> None:
    model = old.files["keras", "merge"][1]
    numbers = old.numbers
    state = attributes(["start a dog end"])
    (tmp_path / "small.p").write_bytes(pickled_tokenizer(MODULES[0], 2, state))
    with pytest.raises(CaptioningError, match=rf"chooses among {numbers} .* has 4 words"):
        decoder_of(model, tmp_path / "small.p")
    with pytest.raises(CaptioningError, match="vectors of 224 numbers, .* xception gives 2048"):
        decoder_of(model, old.folder / "tokenizer.p", encoder="xception")
    photo = keras.layers.Input((123,))
    words = keras.layers.Input((LENGTH,))
    both = keras.layers.concatenate([photo, keras.layers.Flatten()(words)])
    keras.Model([photo, words], keras.layers.Dense(numbers)(both)).save(tmp_path / "odd.keras")
    with pytest.raises(CaptioningError, match="vectors of 123 numbers, and no encoder"):
        decoder_of(tmp_path / "odd.keras", old.folder / "tokenizer.p")
    # Weights of another vocabulary than the layers'.
    shutil.copy(old.files["tf_keras", "merge"][2], tmp_path / "m.json")
    build(tf_keras, "merge", VECTOR, LENGTH, numbers + 1).save_weights(tmp_path / "m.h5")
    with pytest.raises(CaptioningError, match=rf"9, {numbers}\).*9, {numbers + 1}\)"):
        decoder_of(tmp_path / "m.json", old.folder / "tokenizer.p")
    code, _, messages = run("caption", "-i", "x.jpg", "--model", model)
    assert code == 2 and "--tokenizer tokenizer.p" in messages
    code, _, messages = run(
        *("caption", "-i", "x.jpg", "--model", model, "--tokenizer", tmp_path / "none.p")
    )
    assert code == 2 and "there is no tokenizer" in messages


def test_layers_that_may_hold_code_are_refused(old, tmp_path: Path) -> None:
    trace = tmp_path / "it-ran"
    with zipfile.ZipFile(old.files["keras", "merge"][1]) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    for change in (
        {"class_name": "Lambda", "config": {"name": "dense", "function": "x"}},
        {"class_name": "Dense", "module": f"os.system('touch {trace}')"},
        {"class_name": "__import__", "module": "builtins"},
    ):
        for layer in config["config"]["layers"]:
            if layer["config"]["name"].startswith("dense"):
                layer.update(change)
        hostile = {**members, "config.json": json.dumps(config)}
        with zipfile.ZipFile(tmp_path / "x.keras", "w") as archive:
            for name, content in hostile.items():
                archive.writestr(name, content)
        with pytest.raises(CaptioningError, match="isn't known here"):
            decoder_of(tmp_path / "x.keras", old.folder / "tokenizer.p")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"units": 10**9}, "need"),
        ({"units": "many"}, "units"),
        ({"activation": "os.system"}, "activation"),
        ({"activation": {"class_name": "function", "config": "exec"}}, "activation"),
    ],
)
def test_sizes_and_values_of_strangers_are_checked(changes, message, old, tmp_path: Path) -> None:
    config = json.loads(old.files["tf_keras", "merge"][2].read_text())
    for layer in config["config"]["layers"]:
        if layer["name"] == config["config"]["output_layers"][0][0]:
            layer["config"].update(changes)
    (tmp_path / "m.json").write_text(json.dumps(config))
    shutil.copy(old.folder / "tf_keras_merge_apart.h5", tmp_path / "m.h5")
    with pytest.raises(CaptioningError, match=message):
        decoder_of(tmp_path / "m.json", old.folder / "tokenizer.p")


def test_weights_alone_say_what_is_missing(old, tmp_path: Path) -> None:
    shutil.copy(old.folder / "tf_keras_merge_apart.h5", tmp_path / "m.h5")
    with pytest.raises(CaptioningError, match=r"without the layers.*m\.json"):
        read_network(tmp_path / "m.h5")
    shutil.copy(old.files["tf_keras", "merge"][2], tmp_path / "m.json")
    by_weights, by_layers = (read_network(tmp_path / name).weights for name in ("m.h5", "m.json"))
    assert by_weights.keys() == by_layers.keys() != set()
    (tmp_path / "m.h5").unlink()
    with pytest.raises(CaptioningError, match=r"m\.h5, are missing"):
        read_network(tmp_path / "m.json")
