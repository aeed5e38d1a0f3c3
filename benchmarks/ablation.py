"""Ablation of the transformer's recipe: python benchmarks/ablation.py

Trains the whole recipe, then the recipe without one part at a time, and scores each on dev. A
model that is in --output already is not trained again, only scored.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

ROOT = Path(__file__).parent.parent
sys.path[0] = str(ROOT)  # the project, instead of this file's folder

from captioning.backend import import_keras
from captioning.commands.run import run_main
from captioning.errors import CaptioningError
from captioning.training.settings import SETTINGS, TrainingSettings

if TYPE_CHECKING:
    from captioning.data.prepared import Prepared
    from captioning.evaluation.evaluation import Evaluation


@dataclass(frozen=True)
class Variant:
    """The recipe with one part changed.

    settings: that differ; build: makes the model instead of `new_model`; views: of each photo to
    train on, None for all.
    """

    title: str
    settings: dict[str, Any]
    build: Callable[["Prepared", TrainingSettings], Any] | None = None
    views: int | None = None


def untied(prepared: "Prepared", settings: TrainingSettings) -> Any:
    """A model whose output layer has weights of its own, not those of the word embedding."""
    from keras import layers

    from captioning.training.models import new_model

    apart = partial(layers.ReversibleEmbedding, tie_weights=False)
    with patch.object(layers, "ReversibleEmbedding", apart):
        return new_model(prepared, settings)


def unstandardised(prepared: "Prepared", settings: TrainingSettings) -> Any:
    """A model that reads the grids as the encoder gives them."""
    import numpy as np

    from captioning.training.models import new_model

    model = new_model(prepared, settings)
    layer = model.get_layer("standardise")
    mean, variance, *count = layer.get_weights()
    # Mean 0 and variance 1: standardising changes nothing.
    layer.set_weights([np.zeros_like(mean), np.ones_like(variance), *count])
    layer.finalize_state()
    return model


VARIANTS = {
    "whole": Variant("the recipe", {}),
    "seed": Variant("the recipe with another seed", {"seed": 2}),
    "smoothing": Variant("without label smoothing", {"smoothing": 0.0}),
    "dropout": Variant("without dropout", {"dropout": 0.0}),
    "schedule": Variant("plateau instead of warm-up and cosine", {"schedule": "plateau"}),
    "views": Variant("one view of each photo instead of all", {}, views=1),
    "tying": Variant("input and output embeddings not tied", {}, build=untied),
    "standardised": Variant("grids not standardised", {}, build=unstandardised),
}


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, default="models", help="the folder that features.py --grids wrote")
    add("--output", type=Path, default="models/ablation", help="where the models go")
    add("--only", nargs="+", choices=list(VARIANTS), help="these, and whole, instead of all")
    add(
        "--width",
        type=int,
        default=192,
        help="of the transformer; half its default",
    )
    add("--epochs", type=int, default=12, help="of each training")
    add("--beam", type=int, default=5, help="of the decoder")
    add("--no-meteor", action="store_true", help="leave METEOR out: its Java program takes long")
    return parser.parse_args()


def only_views(prepared: "Prepared", views: int | None) -> "Prepared":
    """The data with the first `views` views of each photo."""
    rows = {name: own[:views] for name, own in prepared.features.rows.items()}
    return replace(prepared, features=replace(prepared.features, rows=rows))


def train_once(
    prepared: "Prepared", variant: Variant, settings: TrainingSettings, folder: Path
) -> None:
    """Train the variant into its folder, unless it was before."""
    from captioning.inference.description import DESCRIPTION
    from captioning.inference.trained_model import NEW_DECODING, TrainedModel
    from captioning.training.run import train_model
    from captioning.training.starting_point import StartingPoint

    if (folder / DESCRIPTION).is_file():
        return
    initial = None
    if variant.build:
        model = variant.build(prepared, settings)
        initial = TrainedModel(
            folder,
            prepared.tokenizer,
            prepared.features.made_by,
            prepared.longest,
            decoding=NEW_DECODING,
            description={"training": None},
            model=model,
        )
    data = only_views(prepared, variant.views)
    train_model(data, settings, folder, starting_point=StartingPoint(initial))


def row(variant: Variant, about: dict[str, Any], found: "Evaluation", first: "Evaluation") -> str:
    """A row of the table: scores with intervals, the paired difference, minutes."""

    def shown(name: str) -> str:
        score = found.summary["scores"].get(name)
        return (
            "–"
            if score is None
            else "{value:.1f} ({0:.1f} to {1:.1f})".format(*score["interval"], value=score["value"])
        )

    change = ""  # of the whole recipe against itself
    if found is not first:
        value, low, high = found.scores.minus(first.scores)["CIDEr"]
        change = f"{value:+.1f} ({low:+.1f} to {high:+.1f})"
    training = about["training"]
    cells = [
        variant.title,
        *map(shown, ("BLEU-4", "METEOR", "CIDEr")),
        change,
        f"{training['best_of_dev']['dev_loss']:.3f}",
        f"{training['seconds'] / 60:.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> int:
    """Train, score, print the table row by row."""
    arguments = parse_arguments()
    if arguments.width < 6 or arguments.width % 6 or arguments.epochs < 1 or arguments.beam < 1:
        raise CaptioningError("--width must be a multiple of 6, --epochs and --beam at least 1")
    from captioning.data.prepared import read_prepared

    prepared = read_prepared(arguments.data)
    import_keras()
    from captioning.evaluation.evaluation import evaluate
    from captioning.inference.loading import load

    recipe = replace(SETTINGS["transformer"], width=arguments.width, epochs=arguments.epochs)
    print(
        f"| width {arguments.width}, {arguments.epochs} epochs, beam {arguments.beam} | BLEU-4 "
        "| METEOR | CIDEr | change of CIDEr | dev loss | minutes |"
    )
    print("|---|---|---|---|---|---|---|", flush=True)
    first = None
    for name in ["whole", *(n for n in arguments.only or VARIANTS if n != "whole")]:
        variant, folder = VARIANTS[name], arguments.output / name
        train_once(prepared, variant, replace(recipe, **variant.settings), folder)
        captioner = load(folder)
        found = evaluate(
            captioner, prepared, "dev", not arguments.no_meteor, beam=arguments.beam, views=1
        )
        first = first or found
        print(row(variant, captioner.trained_model.description, found, first), flush=True)
    return 0


if __name__ == "__main__":
    run_main(main)
