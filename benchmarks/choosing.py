"""What a critic costs: a photo from its pixels to its caption, without the critic and with it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.comparison import Comparison, alternate


def compare_choosing(folder: Path, photos: int = 64, rounds: int = 3) -> Iterator[Comparison]:
    """Photos of noise, encoded and captioned by ONNX Runtime with the model in `folder`.

    Their captions are as long as others, and the critic's work doesn't depend on what they say.
    """
    from captioning.inference.loading import load

    captioner = load(folder, runtime="onnx")
    size = captioner.trained_model.encoder["size"]
    pixels = np.random.default_rng(0).integers(256, size=(16, size, size, 3), dtype=np.uint8)

    def caption(weight: float) -> int:
        for _ in range(0, photos, len(pixels)):
            captioner.decoder.decode(*captioner.encode(pixels), beam=8, critic=weight)
        return photos

    caption(1.0)  # weights are read before the clock starts
    rates = alternate(lambda: caption(0.0), lambda: caption(1.0), rounds)
    yield Comparison.slower("critic against none, beam 8", "photos/s", rates, 1.2)
