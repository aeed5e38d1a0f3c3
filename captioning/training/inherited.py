"""What a model that is trained further takes over: the way it decodes, its critic, its photos.

Only the decoder's weights are trained; a critic and what photos are like belong to the encoder and
the vocabulary, which stay.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from captioning.errors import CaptioningError
from captioning.inference.critic import read_critic, write_critic
from captioning.inference.familiarity import Familiarity, read_familiarity
from captioning.inference.trained_model import TrainedModel
from captioning.training.starting_point import StartingPoint
from captioning.vision.own_weights import fingerprint_of, keep_own_weights, own_weights_of


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
    initial, name = starting_point.initial, made_by.get("name", "")
    files = [starting_point.own_weights]
    files += [own_weights_of(initial.folder, name)] if initial else []
    fitting = (f for f in files if f and fingerprint_of(f) == made_by.get("weights"))
    keep_own_weights(next(fitting, None), output)


def familiarity_of(initial: TrainedModel | None, train: np.ndarray, dev: np.ndarray) -> Familiarity:
    """What the photos are like that a model, and the one before it, learned from.

    train, dev: vectors of the photos, float32 (photos, D).
    """
    before = None
    if initial is not None:
        with suppress(CaptioningError):
            before = read_familiarity(initial.folder, initial.encoder["vector_size"])
    return Familiarity.fit(train, dev) if before is None else before.extended(train, dev)
