"""Are pictures unlike the training photos told from dev's: python benchmarks/familiarity.py

For each kind of picture: the AUROC, the probability that a photo of dev is more like the training
photos than a picture of that kind (0.5: not told apart, 1: always); and the share that is marked.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parent.parent
sys.path[0] = str(ROOT)  # the project, instead of this file's folder

import numpy as np

from captioning.backend import import_keras
from captioning.commands.run import run_main
from captioning.errors import CaptioningError, command_line

if TYPE_CHECKING:
    from PIL import Image

    from captioning.inference.familiarity import Familiarity
    from captioning.vision.features import Features

AT_ONCE = 16
"""Pictures that are encoded side by side."""


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, default="models", help="the folder that features.py wrote")
    add(
        "--model",
        type=Path,
        help="a model's folder, trained on --data (default: what a training on it would keep)",
    )
    add("--weights", default="imagenet", help="of the encoder: imagenet, or a file")
    add("--pictures", type=int, default=100, help="of each kind that is drawn")
    return parser.parse_args()


def familiarity_of(
    model: Path | None, features: "Features", splits: dict[str, list[str]]
) -> "Familiarity":
    """The model's, or that of a model that would be trained on these features.

    Raises `CaptioningError` for a model that has none or is of another encoder.
    """
    from captioning.inference.description import read_description
    from captioning.inference.familiarity import FAMILIARITY, Familiarity, read_familiarity

    if model is None:
        train, dev = (features.matrix(splits[split]) for split in ("train", "dev"))
        return Familiarity.fit(train, dev)
    encoder = read_description(model)["encoder"]
    if encoder != features.made_by:
        raise CaptioningError(f"{model} has another encoder than --data; give the data of its own")
    found = read_familiarity(model, encoder["vector_size"])
    if found is None:
        raise CaptioningError(
            f"{model} has no {FAMILIARITY}; train it again with: {command_line('train')}"
        )
    return found


def auroc(alike: np.ndarray, others: np.ndarray) -> float:
    """The probability that one of `alike` (M,) is above one of `others` (N,); ties count half.

    It is the area under the curve of true against false positives: Hanley and McNeil 1982
    (https://doi.org/10.1148/radiology.143.1.7063747).
    """
    ordered = np.sort(others)
    below = np.searchsorted(ordered, alike, "left") + np.searchsorted(ordered, alike, "right")
    return float(below.mean() / (2 * len(others)))


def kinds(count: int) -> "Iterator[tuple[str, list[Image.Image]]]":
    """Name and pictures of each kind that is no part of the data."""
    from benchmarks.pictures import KINDS, draw, scikit_pictures
    from captioning.data.photos import photos_of
    from captioning.vision.images import open_image

    for kind in KINDS:
        yield kind, draw(kind, count)
    yield "pictures of scikit-image", scikit_pictures()
    yield "photos in samples/", [open_image(path) for path in photos_of([ROOT / "samples"]).photos]


def encode(encoder: Any, pictures: "list[Image.Image]") -> np.ndarray:
    """Vectors, float32 (pictures, D)."""
    from captioning.vision.images import to_array

    parts = []
    for start in range(0, len(pictures), AT_ONCE):
        arrays = [to_array(p, encoder.settings.size) for p in pictures[start : start + AT_ONCE]]
        parts.append(encoder.encode(np.stack(arrays)))  # (pictures, size, size, 3) to (pictures, D)
    return np.concatenate(parts)


def row(name: str, found: "Familiarity", vectors: np.ndarray, dev: np.ndarray | None) -> str:
    """A row of the table; dev: the dev photos' similarities, None in the row of dev itself."""
    from captioning.inference.familiarity import UNFAMILIAR

    marked = (found.of(vectors) < UNFAMILIAR).mean()
    told = "–" if dev is None else f"{auroc(dev, found.similarity(vectors)):.3f}"
    return f"| {name} | {len(vectors):,} | {told} | {marked:.1%} |"


def main() -> int:
    """Measure, and print the table row by row."""
    arguments = parse_arguments()
    if arguments.pictures < 1:
        raise CaptioningError(f"--pictures {arguments.pictures} is not at least 1")
    from captioning.data.prepared import read_prepared_splits
    from captioning.vision.encoders import load_encoder
    from captioning.vision.features import read_features

    features = read_features(arguments.data)
    splits = {
        split: [name for name in names if name in features.vectors]
        for split, names in read_prepared_splits(arguments.data).items()
    }
    if not splits.get("train") or not splits.get("dev"):
        raise CaptioningError(f"{arguments.data} has no vectors of train or of dev")
    found = familiarity_of(arguments.model, features, splits)
    import_keras()
    encoder = load_encoder(features.made_by["name"], arguments.weights)
    if encoder.signature() != features.made_by:
        raise CaptioningError("the encoder's --weights are not those that made --data")

    print("| pictures | how many | AUROC against dev | marked |")
    print("|---|---|---|---|")
    vectors = features.matrix(splits["dev"])
    dev = found.similarity(vectors)
    print(row("photos of dev", found, vectors, None), flush=True)
    used = {*splits["train"], *splits["dev"]}
    others = [name for name in features.vectors if name not in used]
    if others:
        print(row("the data's other photos", found, features.matrix(others), dev), flush=True)
    for name, pictures in kinds(arguments.pictures):
        if pictures:
            print(row(name, found, encode(encoder, pictures), dev), flush=True)
        else:
            print(f"{name}: left out, as it isn't installed", file=sys.stderr)
    return 0


if __name__ == "__main__":
    run_main(main)
