"""How to train, as values: what a run is begun with, written down beside its results."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingSettings:
    """How to train, all of it; written into the checkpoint and the model's folder.

    batch_size: captions a step for merge, photos with all their captions for the others;
    depth: layers of the transformer; smoothing: share of each target spread over all words
    (Szegedy et al. 2016, https://arxiv.org/abs/1512.00567).

    schedule: with "plateau" the learning rate is cut to `cut` of itself after each epoch whose
    dev loss has not fallen; with "cosine" it rises evenly over the first `warm_up` epochs and
    then goes down to nothing along half a cosine (Loshchilov & Hutter 2016,
    https://arxiv.org/abs/1608.03983), which suits a training of known length. After `patience`
    epochs without a fall the training stops.
    """

    decoder: str = "merge"
    width: int = 384
    depth: int = 2
    dropout: float = 0.5
    smoothing: float = 0.0
    batch_size: int = 128
    epochs: int = 30
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: str = "plateau"
    warm_up: float = 0.0
    cut: float = 0.5
    patience: int = 4
    seed: int = 1


SETTINGS = {
    "merge": TrainingSettings(),
    "attention": TrainingSettings(
        "attention",
        width=512,
        dropout=0.3,
        smoothing=0.1,
        batch_size=32,
        epochs=15,
        learning_rate=8e-4,
        schedule="cosine",
        warm_up=1.0,
    ),
    "transformer": TrainingSettings(
        "transformer",
        width=384,
        dropout=0.2,
        smoothing=0.1,
        batch_size=32,
        epochs=15,
        learning_rate=7e-4,
        weight_decay=0.01,
        schedule="cosine",
        warm_up=1.0,
    ),
}
"""What each decoder is trained with where nothing else is asked for; chosen on dev."""


@dataclass(frozen=True)
class FinetuningSettings:
    """How to fine-tune a trained model on CIDEr.

    batch_size: photos a step; samples: captions drawn of each photo; photos_at_once: so many
    photos' captions are drawn before they are learned from; longest: words of a sampled caption,
    at most. Training stops after `patience` epochs without a gain of dev's CIDEr.
    """

    decoder: str
    epochs: int = 3
    learning_rate: float = 1e-5
    batch_size: int = 32
    samples: int = 5
    photos_at_once: int = 512
    longest: int = 20
    patience: int = 3
    seed: int = 1


FINETUNING = {
    "merge": FinetuningSettings("merge"),
    "attention": FinetuningSettings("attention", epochs=4, learning_rate=3e-6),
    "transformer": FinetuningSettings("transformer"),
}
"""The same for fine-tuning. Of the transformer's epochs dev asks for three: later its samples'
rewards rose on and dev's fell. The attention decoder falls apart at the transformer's rate.
"""
