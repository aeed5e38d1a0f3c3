"""`train.py --critic MODEL`: a critic for a trained model, and how much it counts."""

import argparse
import dataclasses
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captioning.backend import import_keras
from captioning.commands.options import flag
from captioning.errors import CaptioningError, command_line

if TYPE_CHECKING:
    from captioning.data.prepared import Prepared
    from captioning.inference.captioner import Captioner
    from captioning.inference.search import Hypothesis
    from captioning.training.critic import CriticSettings
    from captioning.training.critic_weight import WeightChoice

OWN_OPTIONS = ("data", "critic", "width", "dropout", "epochs", "batch_size", "learning_rate") + (
    "weight_decay",
    "seed",
)
"""The options of train.py that a critic's training has."""

BEAM = 8
"""The beam of a model that decodes greedily by itself, and gets a critic."""


def check_critic_arguments(options: argparse.Namespace) -> None:
    """Raise `CaptioningError` for an option that a critic's training doesn't have."""
    with_defaults = ("output", "photos")  # these are never empty, given or not
    for name, value in vars(options).items():
        if name not in (*OWN_OPTIONS, *with_defaults) and value not in (None, False, []):
            raise CaptioningError(f"{flag(name)} has no meaning for --critic")


def train_critic_of(options: argparse.Namespace) -> int:
    """Train the critic, choose its weight on dev, and write both into the model's folder."""
    from captioning.data.prepared import read_prepared
    from captioning.evaluation.predictions import check_encoder_fits
    from captioning.files.locks import only_run
    from captioning.inference.critic import write_critic
    from captioning.inference.loading import load
    from captioning.inference.trained_on import write_trained_on

    folder: Path = options.critic
    prepared = read_prepared(options.data)
    captioner = load(folder)
    check_encoder_fits(captioner, prepared)
    if prepared.tokenizer.words != captioner.trained_model.tokenizer.words:
        raise CaptioningError(
            f"{folder} has another vocabulary than {options.data}; {command_line('features')} "
            f"--like {folder} prepares data that fit this model"
        )
    import_keras()
    from captioning.training.critic import CriticSettings, train_critic

    own = {field.name for field in dataclasses.fields(CriticSettings)}
    named = {k: v for k, v in vars(options).items() if k in own and v is not None}
    settings = CriticSettings(**named)
    began = time.perf_counter()

    def tell(epoch: int, loss: float) -> None:
        print(f"critic, epoch {epoch}/{settings.epochs}: loss {loss:.3f}", file=sys.stderr)

    with only_run(folder):
        critic = train_critic(prepared, settings, tell)
        seconds = time.perf_counter() - began
        beam = max(BEAM, captioner.trained_model.decoding["beam"])
        print(f"choosing its weight on dev, beam {beam}", file=sys.stderr)
        chosen = choose_on_dev(captioner, prepared, critic, beam)
        names = prepared.splits["train"]
        write_trained_on(folder, names, prepared.features.contents, [folder])
        write_critic(folder, critic)
        write_weight(folder, settings, chosen, beam, round(seconds))
    print(
        f"dev CIDEr {chosen.alone:.1f} becomes {chosen.ciders[chosen.weight]:.1f} with the weight "
        f"{chosen.weight:g} ({chosen.in_folds:.1f} where the weight is chosen on other photos; the "
        f"best of each beam has {chosen.best_of_beam:.1f}); it is in {folder} from now on; "
        f"next: {command_line('caption')} --model {folder} -i photo.jpg",
        file=sys.stderr,
    )
    return 0


def choose_on_dev(
    captioner: "Captioner", prepared: "Prepared", critic: Any, beam: int
) -> "WeightChoice":
    """Decode dev with a beam, and choose the weight by the captions' CIDEr."""
    from captioning.data.cider import CiderD
    from captioning.training.critic_weight import choose_weight

    names = prepared.splits["dev"]
    found = decode_beams(captioner, prepared, names, beam)
    scorer = CiderD([[caption.split() for caption in prepared.captions[n]] for n in names])
    ciders = [
        {h.tokens: 100 * scorer.score(photo, captioner.decoder.text(h).split()) for h in own}
        for photo, own in enumerate(found)
    ]
    return choose_weight(found, prepared.features.matrix(names), critic, ciders)


def decode_beams(
    captioner: "Captioner", prepared: "Prepared", names: list[str], beam: int
) -> list[list["Hypothesis"]]:
    """Each photo's hypotheses in the beam's own order."""
    from captioning.evaluation.predictions import PHOTOS_AT_ONCE, read_inputs

    settings = captioner.decoder.settings(beam=beam, critic=0.0)
    found: list[list[Hypothesis]] = []
    for start in range(0, len(names), PHOTOS_AT_ONCE):
        some = names[start : start + PHOTOS_AT_ONCE]
        vectors, grids, _ = read_inputs(captioner, prepared, some, max(1, settings.views))
        found += captioner.decoder.decode_with(settings, vectors, grids)
    return found


def write_weight(
    folder: Path, settings: "CriticSettings", chosen: "WeightChoice", beam: int, seconds: int
) -> None:
    """Put the weight, and how it came about, into the model's description."""
    from captioning.files.text import write_json
    from captioning.inference.description import DESCRIPTION, read_description

    description = read_description(folder)
    description["decoding"] |= {"beam": beam, "critic": chosen.weight}
    description["critic"] = {
        "settings": dataclasses.asdict(settings),
        "seconds": seconds,
        "dev": dataclasses.asdict(chosen),
    }
    write_json(folder / DESCRIPTION, description)
