"""A prepared folder of made-up vectors, grids and captions, of any size, written without Keras."""

from pathlib import Path

import numpy as np

from captioning.data.text import Tokenizer
from captioning.files.pickles import write_pickle
from captioning.files.text import write_json, write_text
from captioning.vision.encoders import ENCODERS
from captioning.vision.stamps import digest_of_file

WORDS = ("dog", "cat", "car", "box", "runs", "sits", "red", "blue", "big", "small")


def write_made_up_data(folder: Path, train: int = 14, dev: int = 6) -> None:
    """Photos with a vector, a grid of two views and two captions each.

    The captions are of four words: JAX compiles for seconds for each length.
    """
    generator, encoder = np.random.default_rng(1), ENCODERS["mini-xception"]
    size = encoder.vector_size
    names = [f"{place}.jpg" for place in range(train + dev)]
    folder.mkdir(parents=True)
    rows = []
    vectors = {}
    for name in names:
        words = generator.choice(WORDS, 6)
        rows += [f"{name}\t{' '.join(part)}\n" for part in (words[:4], words[2:])]
        # The vector tells the words, so that there is something to learn.
        vectors[name] = generator.normal(0, 0.1, (1, size)).astype(np.float32)
        vectors[name][0, : len(WORDS)] += [word in words for word in WORDS]
    write_text(folder / "descriptions.txt", "".join(rows))
    write_json(folder / "splits.json", {"train": names[:train], "dev": names[train:]})
    write_pickle(folder / "tokenizer.p", Tokenizer(WORDS).numbers)
    write_pickle(folder / "features.p", vectors)
    grids = generator.normal(0, 1, (2 * len(names), encoder.grid_side**2, size)).astype(np.float16)
    grids += np.repeat(np.concatenate(list(vectors.values())), 2, axis=0)[:, None].astype("float16")
    grids.tofile(folder / "grids-1.f16")
    write_json(
        folder / "features.json",
        {
            "made_by": {**encoder.as_dict(), "weights": "none"},
            "digest": digest_of_file(folder / "features.p"),
            "failed": {},
            "stamps": {},
            "grids": "grids-1.f16",
            "rows": {name: [2 * i, 2 * i + 1] for i, name in enumerate(names)},
        },
    )
