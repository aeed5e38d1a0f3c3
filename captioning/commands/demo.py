"""The whole pipeline on rendered scenes: no download, no dataset, two minutes.

Renders scenes into Flickr8k's own layout, then does what features.py, train.py and
caption_generator.py do, and draws captions for unseen scenes into captions.png.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from captioning.backend import import_keras
from captioning.errors import CaptioningError, command_line
from captioning.inference.models import DEMO, models_folder


def parse_arguments(arguments: Sequence[str] | None, program: str | None) -> argparse.Namespace:
    """The command line; program: how help calls the command."""
    parser = argparse.ArgumentParser(
        prog=program,
        description=__doc__.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--output", type=Path, default=models_folder() / DEMO, help="the folder for everything")
    add("--scenes", type=int, default=5000, help="how many scenes to train on")
    add("--epochs", type=int, default=16, help="at most this many")
    add("--seed", type=int, default=8, help="other scenes, other start")
    add(
        "--train-encoder",
        action="store_true",
        help="make the weights of the encoder mini-xception again first (15 minutes)",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> int:
    """Render, extract, train, score, show."""
    options = parse_arguments(arguments, program)
    if options.scenes < 10 or options.epochs < 1:
        raise CaptioningError("--scenes must be at least 10 and --epochs at least 1")
    began = time.perf_counter()
    import_keras()
    if options.train_encoder:
        from captioning.scenes.mini_xception import WEIGHTS_FILE
        from captioning.scenes.mini_xception_training import train_mini_xception

        right = train_mini_xception(WEIGHTS_FILE)
        say(f"mini-xception: every label right in {right:.1%} of unseen scenes")

    folder: Path = options.output
    scenes = render(folder, options.scenes, options.seed)
    prepared = extract(folder)
    captioner = train(prepared, folder, options.epochs, options.seed)
    captions, right = show(captioner, prepared, scenes, folder)
    for name in list(captions)[:8]:
        print(f"{name}\t{captions[name]}")
    print(
        f"every object and colour right in {right:.1%} of {len(captions)} unseen scenes; "
        f"{time.perf_counter() - began:.0f} s in all"
    )
    photo = folder / "data" / "Flicker8k_Dataset" / next(iter(captions))
    say(f"\nlook at  {shown(folder / 'captions.png')}  {shown(folder / 'curves.png')}")
    say(f"then try {command_line('caption')} --model {shown(folder)} -i {shown(photo)}")
    return 0


def render(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Write the scenes in Flickr8k's layout: {file name: what is in it}."""
    from captioning.scenes.dataset import write_scenes

    scenes = write_scenes(folder / "data", count, dev=250, test=500, seed=seed)
    say(f"rendered {len(scenes):,} scenes into {shown(folder / 'data')}")
    return scenes


def extract(folder: Path) -> Any:
    """What features.py does, on the scenes."""
    from captioning.data.dataset import read_dataset
    from captioning.data.prepared import read_prepared, write_text_files
    from captioning.vision.encoders import load_encoder
    from captioning.vision.extraction import extract_features

    data = folder / "data"
    dataset = read_dataset(data / "Flicker8k_Dataset", data / "Flickr_8k_text")
    write_text_files(dataset, data)
    extract_features(load_encoder("mini-xception"), dataset.images, dataset.photos, data)
    return read_prepared(data)


def train(prepared: Any, folder: Path, epochs: int, seed: int) -> Any:
    """What train.py does, and the scores on dev."""
    from captioning.evaluation.evaluation import evaluate
    from captioning.files.text import write_json
    from captioning.inference.loading import load
    from captioning.training.run import train_model
    from captioning.training.settings import TrainingSettings

    settings = TrainingSettings(
        width=128,
        dropout=0.05,
        batch_size=128,
        epochs=epochs,
        learning_rate=8e-3,
        schedule="cosine",
        warm_up=1.0,
        seed=seed,
    )
    train_model(prepared, settings, folder)
    captioner = load(folder)
    result = evaluate(captioner, prepared, "dev", meteor=False, beam=1)
    say(f"dev scenes, greedy: {result.scores.line()}")
    write_json(folder / "scores.json", result.about)
    return captioner


def show(
    captioner: Any, prepared: Any, scenes: dict[str, Any], folder: Path
) -> tuple[dict[str, str], float]:
    """Captions of the unseen scenes, the share that is right, and a sheet of the first."""
    from PIL import Image

    from captioning.evaluation.predictions import caption_photos
    from captioning.pictures.figures import contact_sheet, save_figure
    from captioning.scenes.captions import names_all

    found = caption_photos(captioner, prepared, prepared.splits["test"], beam=1)
    captions = {name: caption for name, (caption, _) in found.items()}
    right = {name: names_all(scenes[name], caption) for name, caption in captions.items()}
    first = list(captions)[:9]
    photos = folder / "data" / "Flicker8k_Dataset"
    sheet = contact_sheet(
        [Image.open(photos / name) for name in first],
        [captions[name] for name in first],
        columns=3,
        marks="".join("." if right[name] else "x" for name in first),
    )
    save_figure(sheet, folder / "captions.png")
    return captions, sum(right.values()) / len(right)


def shown(path: Path) -> Path:
    """A path as short as it can be said from here."""
    try:
        return path.resolve().relative_to(Path.cwd())
    except ValueError:
        return path


def say(message: str) -> None:
    """A message for the person at the keyboard, apart from the results."""
    print(message, file=sys.stderr)
