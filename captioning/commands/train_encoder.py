"""`train.py --finetune encoder`: a decoder's EfficientNet-Lite trained along with it."""

import argparse
import sys
from typing import TYPE_CHECKING, cast

from captioning.backend import import_keras
from captioning.commands.train_options import settings_of
from captioning.decoders.kinds import READ_GRIDS
from captioning.errors import CaptioningError, command_line

if TYPE_CHECKING:
    from captioning.training.settings import TrainingSettings


def finetune_encoder_of(options: argparse.Namespace) -> int:
    """Train both, and write a model's folder with the encoder's own weights."""
    from captioning.data.prepared import read_prepared
    from captioning.files.locks import only_run
    from captioning.inference.description import read_description
    from captioning.vision.encoders import LITE

    about = read_description(options.initial)
    decoder, name = about["decoder"], about["encoder"]["name"]
    if decoder not in READ_GRIDS or name not in LITE:
        raise CaptioningError(
            f"--finetune encoder is for decoders that attend to grids of {', '.join(LITE)}; "
            f"{options.initial} is a {decoder} decoder on {name}"
        )
    if options.output.resolve() == options.initial.resolve():
        raise CaptioningError("--output is the folder of --initial; name another")
    settings = cast("TrainingSettings", settings_of(options, decoder))
    prepared = read_prepared(options.data)
    import_keras()
    from captioning.inference.loading import load_encoder_of
    from captioning.inference.trained_model import load_trained_model
    from captioning.training.encoder import finetune_encoder
    from captioning.training.run import save_with_encoder
    from captioning.training.starting_point import StartingPoint

    initial = load_trained_model(options.initial)
    StartingPoint(initial).check(prepared, decoder)
    encoder = load_encoder_of(initial, "imagenet")
    with only_run(options.output):
        progress = finetune_encoder(
            prepared,
            settings,
            options.photos,
            initial,
            encoder,
            lambda best, own: save_with_encoder(best, prepared, initial, own, options.output),
        )
    best = progress.history[progress.best_epoch - 1]
    print(
        f"best dev loss {best['dev_loss']:.3f} per word, epoch {progress.best_epoch} of "
        f"{progress.epoch}; the model and its encoder are in {options.output}; next: "
        f"{command_line('features')} --like {options.output} --views 4 --output FOLDER, and with "
        f"--data FOLDER {command_line('train')} --critic {options.output}",
        file=sys.stderr,
    )
    if progress.fault:
        raise CaptioningError(f"{progress.fault} in {options.output}")
    return 0
