"""An encoder with weights of its own: its file, and its training along with a decoder."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from captioning.commands import features as features_command
from captioning.commands import train as train_command
from captioning.data.prepared import read_prepared
from captioning.errors import CaptioningError
from captioning.files.onnx_session import Session
from captioning.inference.description import read_description
from captioning.inference.loading import load
from captioning.inference.trained_model import load_trained_model
from captioning.shards.vectors import features_task
from captioning.training.inherited import inherit_own_weights
from captioning.training.starting_point import StartingPoint
from captioning.vision.efficientnet_lite import EPSILON, VARIANTS, read_weights, torch_name
from captioning.vision.efficientnet_lite_onnx import GRID, VECTOR, efficientnet_lite_graph
from captioning.vision.encoders import check_encoder
from captioning.vision.onnx_encoder import load_onnx_encoder
from captioning.vision.own_weights import (
    OWN_WEIGHTS,
    OwnWeights,
    fingerprint_of,
    kernel_shapes,
    own_weights_of,
    read_own_weights,
    write_own_weights,
)
from tests.conftest import input_options

NAME = "efficientnet-lite0"


def folded() -> OwnWeights:
    """ImageNet's weights, as their package brings them, with the normalisations folded in."""
    weights = read_weights(VARIANTS[NAME])
    kernels, biases = {}, {}
    for layer in kernel_shapes(VARIANTS[NAME]):
        norm = torch_name(f"{layer}_norm")
        factor = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + EPSILON)
        kernels[layer] = weights[f"{torch_name(layer)}.weight"] * factor[:, None, None, None]
        biases[layer] = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * factor
    return OwnWeights(kernels, biases)


@pytest.fixture(scope="module")
def own_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ImageNet's weights of Lite0 as a file of own weights."""
    file = tmp_path_factory.mktemp("own") / OWN_WEIGHTS
    write_own_weights(file, NAME, folded())
    return file


def test_a_file_computes_what_its_weights_did(own_file: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (1, 224, 224, 3)).astype(np.uint8)
    found = []
    for weights in (read_own_weights(own_file, NAME), read_weights(VARIANTS[NAME])):
        graph = efficientnet_lite_graph(VARIANTS[NAME], 224, weights)
        session = Session(graph.as_bytes({}), NAME, convolves=True)
        found.append(session.run({"pixels": pixels}, [VECTOR, GRID]))
    for ours, theirs in zip(*found, strict=True):
        # Kernels of half precision: a thousandth, in each of fifty layers.
        assert np.linalg.norm(ours - theirs) < 0.02 * np.linalg.norm(theirs)


def test_the_same_weights_have_the_same_fingerprint(own_file: Path, tmp_path: Path) -> None:
    again, other = tmp_path / "again.npz", tmp_path / "other.npz"
    weights = folded()
    write_own_weights(again, NAME, weights)
    weights.biases["head"][0] += 1
    write_own_weights(other, NAME, weights)
    assert fingerprint_of(again) == fingerprint_of(own_file) != fingerprint_of(other)


def damaged(kind: str, file: Path) -> None:
    """Damage a file of own weights."""
    arrays = dict(np.load(file))
    if kind == "cut off":
        file.write_bytes(file.read_bytes()[:100_000])
    elif kind == "one missing":
        arrays.pop("head_bias")
    elif kind == "one more":
        arrays["other"] = np.zeros(3, np.float32)
    elif kind == "not finite":
        arrays["stem_bias"][0] = np.nan
    elif kind == "another type":
        arrays["stem_bias"] = arrays["stem_bias"].astype(np.float64)
    elif kind == "another shape":
        arrays["stem_kernel"] = arrays["stem_kernel"][:, :, :2]
    if kind != "cut off":
        np.savez(file, **arrays)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "kind",
    ["cut off", "one missing", "one more", "not finite", "another type", "another shape"],
)
def test_a_damaged_file_is_refused_with_its_name(kind: str, own_file: Path, tmp_path: Path) -> None:
    file = tmp_path / OWN_WEIGHTS
    shutil.copy(own_file, file)
    damaged(kind, file)
    with pytest.raises(CaptioningError, match=f"cannot read weights of {NAME} from {file}"):
        read_own_weights(file, NAME)


def test_weights_of_another_network_are_refused(own_file: Path, tmp_path: Path) -> None:
    with pytest.raises(CaptioningError, match="efficientnet-lite2"):
        read_own_weights(own_file, "efficientnet-lite2")
    with pytest.raises(CaptioningError, match="leave --weights .*h5 out, or name the encoder.npz"):
        check_encoder(NAME, str(tmp_path / "weights.h5"))


@pytest.fixture(scope="module")
def tuned(scenes_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A toy transformer on Lite0, and what an epoch of both together makes of it."""
    folder = tmp_path_factory.mktemp("tuned")
    paths = {name: folder / name for name in ("data", "base", "tuned", "new data", "again")}
    inputs = input_options(scenes_folder)
    features = ("--grids", "--min-count", 1, "--output")
    run(features_command, *inputs, "--encoder", NAME, *features, paths["data"])
    toy = ("--decoder", "transformer", "--width", 24, "--depth", 1, "--epochs", 1)
    run(train_command, "--data", paths["data"], *toy, "--output", paths["base"])
    finetune = (
        "--finetune",
        "encoder",
        "--photos",
        scenes_folder / "Flicker8k_Dataset",
        "--epochs",
        1,
    )
    run(
        *(train_command, "--data", paths["data"], "--initial", paths["base"], *finetune),
        *("--batch-size", 8, "--output", paths["tuned"]),
    )
    run(features_command, *inputs, "--like", paths["tuned"], "--output", paths["new data"])
    return paths


def run(command: object, *arguments: object) -> None:
    """A command that must succeed, in this process."""
    assert command.main(list(map(str, arguments))) == 0  # type: ignore[attr-defined]


def test_an_encoder_is_trained_along_with_its_decoder(tuned: dict[str, Path]) -> None:
    before, after = (read_description(tuned[name]) for name in ("base", "tuned"))
    own = tuned["tuned"] / OWN_WEIGHTS
    assert after["encoder"] == before["encoder"] | {"weights": fingerprint_of(own)}
    assert "critic" not in after["decoding"]
    with (tuned["tuned"] / "history.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1"]
    trained, imagenet = read_own_weights(own, NAME), folded()
    for layer in ("stem", "block7_depthwise", "block15_project", "head"):
        before_it = imagenet.kernels[layer].astype(np.float16).astype(np.float32)
        change = np.abs(trained[f"{torch_name(layer)}.weight"] - before_it)
        # Ten steps of Adam, each of at most its rate and a little more.
        assert 1e-5 < change.mean() < 10 * 3e-4, layer


def test_both_runtimes_caption_with_the_own_weights(
    tuned: dict[str, Path], scenes_folder: Path
) -> None:
    from captioning.commands import export

    made_by = read_prepared(tuned["new data"]).features.made_by
    assert made_by == read_description(tuned["tuned"])["encoder"]
    assert fingerprint_of(tuned["new data"] / OWN_WEIGHTS) == made_by["weights"]
    photos = sorted((scenes_folder / "Flicker8k_Dataset").iterdir())[:3]
    keras = load(tuned["tuned"], runtime="keras").caption(photos)
    expected = [one.caption for one in keras]
    run(export, tuned["tuned"], "-i", *photos)
    onnx = list(load(tuned["tuned"], runtime="onnx").caption(photos))
    assert [one.caption for one in onnx] == expected
    vectors = load_onnx_encoder(made_by, tuned["tuned"])
    assert vectors.fingerprint == made_by["weights"]


def test_a_further_training_takes_the_weights_along(tuned: dict[str, Path], tmp_path: Path) -> None:
    """Of the data, or of the initial model; not those of another encoder."""
    made_by = read_prepared(tuned["new data"]).features.made_by
    initial = load_trained_model(tuned["tuned"])
    beside = own_weights_of(tuned["new data"], NAME)
    for start in (StartingPoint(own_weights=beside), StartingPoint(initial)):
        inherit_own_weights(start, made_by, tmp_path)
        assert fingerprint_of(tmp_path / OWN_WEIGHTS) == made_by["weights"]
        other = made_by | {"weights": VARIANTS[NAME].fingerprint}
        inherit_own_weights(start, other, tmp_path)
        assert not (tmp_path / OWN_WEIGHTS).exists()


def test_a_training_into_the_initial_folder_keeps_the_weights(
    tuned: dict[str, Path], tmp_path: Path
) -> None:
    model = Path(shutil.copytree(tuned["tuned"], tmp_path / "model"))
    start = StartingPoint(load_trained_model(model))
    inherit_own_weights(start, read_description(model)["encoder"], model)
    assert fingerprint_of(model / OWN_WEIGHTS) == read_description(model)["encoder"]["weights"]


def test_shards_are_encoded_by_the_own_weights_without_keras(tuned: dict[str, Path]) -> None:
    model = tuned["tuned"]
    task = features_task(NAME, str(model / OWN_WEIGHTS), "auto", 0, 10**6, str(model.resolve()))
    assert task.runtime == "onnx" and dict(task.signature) == read_description(model)["encoder"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--resume",), "--resume has no meaning for --finetune encoder"),
        (("--samples", 5), "--samples has no meaning for --finetune encoder"),
        (("--width", 48), "--width has no meaning for --finetune encoder"),
        (("--photos", "nowhere"), "80 photos of train are not in nowhere"),
    ],
)
def test_what_cannot_be_is_refused(
    options: tuple, message: str, tuned: dict[str, Path], tmp_path: Path
) -> None:
    given = ("--data", tuned["data"], "--initial", tuned["base"], "--finetune", "encoder")
    with pytest.raises(CaptioningError, match=message):
        train_command.main(list(map(str, (*given, "--output", tmp_path / "out", *options))))
    assert not (tmp_path / "out" / "captioner.json").exists()


def test_only_grids_of_an_efficientnet_lite(
    model_folder: Path, data_folder: Path, tmp_path: Path
) -> None:
    given = ("--data", data_folder, "--initial", model_folder, "--finetune", "encoder")
    with pytest.raises(CaptioningError, match="is a merge decoder on mini-xception"):
        train_command.main(list(map(str, (*given, "--output", tmp_path / "out"))))
    assert json.loads((model_folder / "captioner.json").read_text())["decoder"] == "merge"
