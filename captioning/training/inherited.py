"""What a model that is trained further takes over: the way it decodes, its critic, its photos.

Only the decoder's weights are trained; a critic and what photos are like belong to the encoder and
the vocabulary, which stay.
"""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from captioning.errors import CaptioningError
from captioning.files.whole import written_whole
from captioning.inference.critic import read_critic, write_critic
from captioning.inference.familiarity import Familiarity, read_familiarity
from captioning.inference.trained_model import TrainedModel
from captioning.training.starting_point import StartingPoint
from captioning.vision.own_weights import OWN_WEIGHTS, fingerprint_of, own_weights_of


def inherit_decoding(initial: TrainedModel, output: Path) -> dict[str, Any]:
    """The decoding defaults of the model before; its critic is written into `output`.

    A critic that is missing or can't be read is left out: no training fails at its end.
    """
    decoding = dict(initial.decoding)
    critic = None
    with suppress(CaptioningError):
        size = initial.encoder["vector_size"]
        critic = read_critic(initial.folder, size, initial.tokenizer.size)
    if critic is None:
        decoding.pop("critic", None)
    else:
        write_critic(output, critic)
    return decoding


def inherit_own_weights(
    starting_point: StartingPoint, made_by: dict[str, Any], output: Path
) -> None:
    """Copy the weights of a fine-tuned encoder into `output`, from the data or the initial model.

    made_by: the signature of the encoder that made the data; those of another one are removed.
    """
    (output / OWN_WEIGHTS).unlink(missing_ok=True)
    initial = starting_point.initial
    files = [starting_point.own_weights]
    files += [own_weights_of(initial.folder, made_by["name"])] if initial else []
    for file in files:
        if file and fingerprint_of(file) == made_by["weights"]:
            with written_whole(output / OWN_WEIGHTS) as beside:
                shutil.copyfile(file, beside)
            return


def familiarity_of(initial: TrainedModel | None, train: np.ndarray, dev: np.ndarray) -> Familiarity:
    """What the photos are like that a model, and the one before it, learned from.

    train, dev: vectors of the photos, float32 (photos, D).
    """
    before = None
    if initial is not None:
        with suppress(CaptioningError):
            before = read_familiarity(initial.folder, initial.encoder["vector_size"])
    return Familiarity.fit(train, dev) if before is None else before.extended(train, dev)
