"""Captions of the sample photos, then the whole pipeline on rendered scenes.

No download, no dataset, two minutes. The shipped model captions the samples (samples.png). Then
scenes are rendered in the layout of Flickr8k, encoded, a merge model is trained on them, and test
scenes are drawn with their captions (captions.png).
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from captioning.backend import import_keras
from captioning.commands.options import command_parser, path
from captioning.errors import CaptioningError, command_line

if TYPE_CHECKING:
    from captioning.data.prepared import Prepared
    from captioning.inference.captioner import Captioner
    from captioning.scenes.world import Scene


def parse_arguments(arguments: Sequence[str] | None, program: str | None) -> argparse.Namespace:
    """The command line; program: how help calls the command."""
    parser = command_parser(
        "demo", program, __doc__, {"": "all of it", "--scenes 200 --epochs 2": "a quick look"}
    )
    default = "(default: %(default)s)"
    add = parser.add_argument
    add(
        "--output",
        type=path,
        metavar="FOLDER",
        help="the folder for everything (default: demo among the models)",
    )
    add(
        "--scenes",
        type=int,
        default=5000,
        metavar="N",
        help=f"how many scenes to train on {default}",
    )
    add("--epochs", type=int, default=16, metavar="N", help=f"at most this many {default}")
    add("--seed", type=int, default=8, metavar="N", help=f"of the scenes and the weights {default}")
    add(
        "--train-encoder",
        action="store_true",
        help="first train the encoder mini-xception anew (15 minutes)",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> int:
    """Render scenes, encode them, train, score, caption the test scenes."""
    options = parse_arguments(arguments, program)
    if options.scenes < 10 or options.epochs < 1:
        raise CaptioningError("--scenes must be at least 10 and --epochs at least 1")
    began = time.perf_counter()
    from captioning.inference.models import DEMO, models_folder

    folder: Path = options.output or models_folder() / DEMO
    caption_samples(folder)
    import_keras()
    if options.train_encoder:
        from captioning.scenes.mini_xception import WEIGHTS_FILE
        from captioning.scenes.mini_xception_training import train_mini_xception

        accuracy = train_mini_xception(WEIGHTS_FILE)
        inform(f"mini-xception: every label right in {accuracy:.1%} of unseen scenes")

    scenes = render(folder, options.scenes, options.seed)
    prepared = extract(folder)
    captioner = train(prepared, folder, options.epochs, options.seed)
    captions, accuracy = caption_test_scenes(captioner, prepared, scenes, folder)
    for name in list(captions)[:8]:
        print(f"{name}\t{captions[name]}")
    print(
        f"every object and colour right in {accuracy:.1%} of {len(captions)} unseen scenes; "
        f"{time.perf_counter() - began:.0f} s in all"
    )
    photo = folder / "data" / "Flicker8k_Dataset" / next(iter(captions))
    pictures = ("samples.png", "captions.png", "curves.png")
    inform(f"\nlook at  {'  '.join(str(short(folder / name)) for name in pictures)}")
    inform(f"then try {command_line('caption')} --model {short(folder)} -i {short(photo)}")
    return 0


def caption_samples(folder: Path) -> None:
    """Print the shipped model's captions of the sample photos, and draw them into samples.png."""
    from PIL import Image

    from captioning.data.photos import photos_of
    from captioning.inference.familiarity import is_unfamiliar
    from captioning.inference.loading import load
    from captioning.inference.models import SHIPPED, samples_folder, shipped_folder
    from captioning.pictures.contact_sheet import contact_sheet
    from captioning.pictures.figures import save_figure

    model = load(shipped_folder() / SHIPPED[0])
    captions = list(model.caption(photos_of([samples_folder()]).photos))
    inform(f"what {SHIPPED[0]} says of the photos in {short(samples_folder())}:")
    for caption in captions:
        mark = "  (unlike what it learned from)" if is_unfamiliar(caption.familiar) else ""
        print(f"{caption.image.name}\t{caption.caption}{mark}")
    sheet = contact_sheet(
        [Image.open(caption.image) for caption in captions],
        [caption.caption for caption in captions],
        marks="".join("?" if is_unfamiliar(c.familiar) else "." for c in captions),
    )
    save_figure(sheet, folder / "samples.png")


def render(folder: Path, count: int, seed: int) -> "dict[str, Scene]":
    """Write the scenes in the layout of Flickr8k: {file name: its scene}."""
    from captioning.scenes.dataset import write_scenes

    scenes = write_scenes(folder / "data", count, dev=250, test=500, seed=seed)
    inform(f"rendered {len(scenes):,} scenes into {short(folder / 'data')}")
    return scenes


def extract(folder: Path) -> "Prepared":
    """What features.py does, for the scenes."""
    from captioning.data.dataset import read_dataset
    from captioning.data.prepared import read_prepared, write_text_files
    from captioning.vision.encoders import load_encoder
    from captioning.vision.extraction import extract_features

    data = folder / "data"
    dataset = read_dataset(data / "Flicker8k_Dataset", data / "Flickr_8k_text")
    write_text_files(dataset, data)
    extract_features(load_encoder("mini-xception"), dataset.images, dataset.photos, data)
    return read_prepared(data)


def train(prepared: "Prepared", folder: Path, epochs: int, seed: int) -> "Captioner":
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
    inform(f"dev scenes, greedy: {result.scores.line()}")
    write_json(folder / "scores.json", result.summary)
    return captioner


def caption_test_scenes(
    captioner: "Captioner", prepared: "Prepared", scenes: "dict[str, Scene]", folder: Path
) -> tuple[dict[str, str], float]:
    """Captions of the test scenes and the share that is correct; draws the first nine."""
    from PIL import Image

    from captioning.evaluation.predictions import caption_photos
    from captioning.pictures.contact_sheet import contact_sheet
    from captioning.pictures.figures import save_figure
    from captioning.scenes.captions import names_all

    found = caption_photos(captioner, prepared, prepared.splits["test"], beam=1)
    captions = {name: caption for name, (caption, _) in found.items()}
    # Rendered scenes are known in full, so a caption can be checked instead of scored.
    correct = {name: names_all(scenes[name], caption) for name, caption in captions.items()}
    first = list(captions)[:9]
    photos = folder / "data" / "Flicker8k_Dataset"
    sheet = contact_sheet(
        [Image.open(photos / name) for name in first],
        [captions[name] for name in first],
        columns=3,
        marks="".join("." if correct[name] else "x" for name in first),
    )
    save_figure(sheet, folder / "captions.png")
    return captions, sum(correct.values()) / len(correct)


def short(path: Path) -> Path:
    """The path from the current folder, if it leads downwards from there."""
    try:
        return path.resolve().relative_to(Path.cwd())
    except ValueError:
        return path


def inform(message: str) -> None:
    """Print a message to standard error, so that standard output has the results alone."""
    print(message, file=sys.stderr)
