"""Weights of an EfficientNet-Lite of one's own, which was trained further with a decoder.

`encoder.npz` in a model's folder, or beside the features that it made: the kernels in half
precision, the normalisations folded into them, so that each convolution has a kernel and a bias.
It stands in place of the package that brings the ImageNet weights.
"""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from captioning.errors import CaptioningError
from captioning.files.arrays import check_shapes, read_arrays, write_arrays
from captioning.files.whole import written_whole
from captioning.vision.efficientnet_lite import (
    EPSILON,
    HEAD,
    STEM,
    VARIANTS,
    Variant,
    blocks_of,
    torch_name,
)
from captioning.vision.encoders import LITE

OWN_WEIGHTS = "encoder.npz"

LARGEST = 64 << 20
"""A file, or an array in it, of more bytes is refused before it is read."""


def own_weights_of(folder: Path, name: str) -> Path | None:
    """The file of own weights in a folder, where the encoder of that name can have such and has."""
    file = Path(folder) / OWN_WEIGHTS
    return file if name in LITE and file.is_file() else None


def kernel_shapes(variant: Variant) -> dict[str, tuple[int, int, int, int]]:
    """Of each convolution its kernel's shape, (out, in, rows, columns), in order."""
    shapes = {"stem": (STEM, 3, 3, 3)}
    for block in blocks_of(variant):
        if block.wide > block.before:
            shapes[f"{block.name}_expand"] = (block.wide, block.before, 1, 1)
        shapes[f"{block.name}_depthwise"] = (block.wide, 1, block.kernel, block.kernel)
        shapes[f"{block.name}_project"] = (block.after, block.wide, 1, 1)
    return shapes | {"head": (HEAD, blocks_of(variant)[-1].after, 1, 1)}


class OwnWeights(NamedTuple):
    """The weights of an encoder, its normalisations folded into the convolutions.

    kernels: of each convolution, (out, in, rows, columns); biases: (out,).
    """

    kernels: Mapping[str, np.ndarray]
    biases: Mapping[str, np.ndarray]


def write_own_weights(file: Path, name: str, weights: OwnWeights) -> None:
    """Write the file of the encoder of that name; raises as `written_whole`."""
    arrays: dict[str, np.ndarray] = {}
    for layer in kernel_shapes(VARIANTS[name]):
        arrays[f"{layer}_kernel"] = np.asarray(weights.kernels[layer], np.float16)
        arrays[f"{layer}_bias"] = np.asarray(weights.biases[layer], np.float32)
    write_arrays(file, arrays, compressed=False)


def read_own_weights(file: Path, name: str) -> dict[str, np.ndarray]:
    """The weights by PyTorch's names, as `efficientnet_lite.read_weights` gives them.

    The normalisations are the identity. Raises `CaptioningError` when the file is missing,
    damaged, or of another network.
    """
    shapes = kernel_shapes(VARIANTS[name])
    types: dict[str, type] = {f"{layer}_kernel": np.float16 for layer in shapes}
    types |= {f"{layer}_bias": np.float32 for layer in shapes}
    try:
        arrays = read_arrays(Path(file), types, LARGEST)
        wanted: dict[str, tuple[int, ...]] = {f"{k}_kernel": shape for k, shape in shapes.items()}
        wanted |= {f"{layer}_bias": shape[:1] for layer, shape in shapes.items()}
        check_shapes(arrays, wanted, f"the encoder is {name}")
    except Exception as error:  # zip and NumPy errors alike
        reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise CaptioningError(f"cannot read weights of {name} from {file}: {reason}") from None
    weights = {}
    for layer, (channels, *_) in shapes.items():
        weights[f"{torch_name(layer)}.weight"] = arrays[f"{layer}_kernel"].astype(np.float32)
        norm = torch_name(f"{layer}_norm")
        weights[f"{norm}.weight"] = np.ones(channels, np.float32)
        weights[f"{norm}.bias"] = arrays[f"{layer}_bias"]
        weights[f"{norm}.running_mean"] = np.zeros(channels, np.float32)
        weights[f"{norm}.running_var"] = np.full(channels, 1 - EPSILON, np.float32)
    return weights


def keep_own_weights(file: Path | None, folder: Path) -> None:
    """Copy a file of own weights into a folder; without one, remove that of another encoder.

    Raises as `written_whole`.
    """
    kept = Path(folder) / OWN_WEIGHTS
    if file is None:
        kept.unlink(missing_ok=True)
    elif not (kept.is_file() and kept.samefile(file)):
        with written_whole(kept) as beside:
            shutil.copyfile(file, beside)


def fingerprint_of(file: Path) -> str:
    """16 hexadecimal digits of the SHA-256 of a file of own weights."""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]
