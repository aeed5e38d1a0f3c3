"""Trains on JAX, and captions: `python -m tests.jax_captions DATA OUTPUT INPUTS MODEL...`.

Writes to OUTPUT a model of each decoder, and `captions.json`: of these and the given models, what
they say of INPUTS.
"""

import json
import sys
from pathlib import Path

import numpy as np

Said = list[tuple[str, float]]

DECODERS = ("merge", "transformer")


def captions_of(folder: Path, inputs: Path) -> Said:
    """A model's captions, run by Keras, with their scores. inputs: vectors and grids of photos."""
    from captioning.inference.loading import load

    given = np.load(inputs)
    decoder = load(folder, runtime="keras").decoder
    found = decoder.decode(given["vectors"], given["grids"], beam=3)
    return [(decoder.text(best), best.score) for best, *_ in found]


def main(data: str, output: str, inputs: str, *models: str) -> None:
    """Train, caption, write."""
    from captioning.backend import import_keras

    import_keras()
    import keras

    assert keras.backend.backend() == "jax"
    from captioning.commands.train import main as train

    folders = [Path(output, decoder) for decoder in DECODERS]
    for folder in folders:
        given = ["--data", data, "--output", str(folder), "--decoder", folder.name, "--width", "12"]
        train([*given, "--epochs", "1", "--batch-size", "8", "--learning-rate", "0.01"])
    said = {str(folder): captions_of(folder, Path(inputs)) for folder in (*folders, *models)}
    Path(output, "captions.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
