"""What choosing costs: a photo from pixels to caption, with and without a critic and neighbours."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.comparison import Comparison, alternate
from benchmarks.synthetic import random_captions
from captioning.data.prepared import Prepared
from captioning.data.text import Tokenizer
from captioning.vision.features import Features

AT_ONCE = 16


def compare_choosing(
    folder: Path, photos: int = 64, rounds: int = 3, training: int = 6000
) -> Iterator[Comparison]:
    """Photos of noise, encoded and captioned by ONNX Runtime with the model in `folder`.

    Their captions are as long as others, and what a critic and neighbours do doesn't depend on what
    they say. training: photos among which the nearest are found.
    """
    from captioning.inference.loading import load_onnx
    from captioning.inference.model_folder import read_model_folder
    from captioning.inference.neighbours import Neighbours

    about = read_model_folder(folder)
    encoder = about.encoder
    prepared = random_data(about.tokenizer, encoder["vector_size"], training)
    captioner = load_onnx([about], Neighbours(prepared))
    generator = np.random.default_rng(1)
    shape = (AT_ONCE, encoder["size"], encoder["size"], 3)
    pixels = generator.integers(256, size=shape, dtype=np.uint8)

    def caption(**weights: float) -> int:
        for _ in range(0, photos, AT_ONCE):
            vectors, grids = captioner.encode(pixels)
            # Noise looks like noise: the neighbours are those of other vectors, anew each time.
            vectors = generator.standard_gamma(0.5, vectors.shape, np.float32)
            captioner.decoder.decode(vectors, grids, beam=8, **weights)
        return photos

    def plain() -> int:
        return caption(critic=0.0, neighbours=0.0)

    caption(critic=1.0)  # weights are read, and n-grams counted, before the clock starts
    for name, weights in (
        ("critic", {"critic": 1.0, "neighbours": 0.0}),
        ("critic and neighbours", {"critic": 1.0, "neighbours": 1.5}),
    ):
        rates = alternate(plain, lambda weights=weights: caption(**weights), rounds)
        yield Comparison.slower(f"{name} against none, beam 8", "photos/s", rates, 1.2)


def random_data(tokenizer: Tokenizer, vector_size: int, photos: int) -> Prepared:
    """Training photos with vectors and captions drawn at random, in the words of a vocabulary."""
    vectors, rows = random_captions(photos, vector_size)
    names = [f"{place}.jpg" for place in range(photos)]
    captions = {
        # Of a smaller vocabulary than Flickr8k's the rarest words are left out.
        name: [" ".join(tokenizer.shown(t) for t in row if t < tokenizer.size) for row in own]
        for name, own in zip(names, rows, strict=True)
    }
    features = Features(dict(zip(names, vectors[:, None], strict=True)), {})
    return Prepared(captions, {"train": names, "dev": []}, tokenizer, features)
