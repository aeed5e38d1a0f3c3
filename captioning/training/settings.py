"""Settings of trainings, and each decoder's defaults.

Their fields are keys of `progress.json` and `captioner.json`, and options of train.py.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of a training with cross-entropy.

    batch_size: captions for merge, photos with all their captions for the others; depth: layers
    of the transformer; smoothing: the share of each target that label smoothing spreads over all
    words (Szegedy et al. 2016, https://arxiv.org/abs/1512.00567).

    schedule: with "plateau" the learning rate is multiplied with `cut` after each epoch without a
    better loss on dev; with "cosine" it rises linearly over the first `warm_up` epochs and then
    falls to 0 along half a cosine (Loshchilov & Hutter 2016, https://arxiv.org/abs/1608.03983),
    for which the number of epochs must be known. patience: the training stops after so many
    epochs without a better loss on dev.
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
"""Each decoder's defaults, chosen on dev."""


def with_encoder(settings: TrainingSettings) -> TrainingSettings:
    """A decoder's settings where its encoder is trained along: fewer epochs, smaller steps.

    Chosen on dev: after twice as many epochs the loss there is higher.
    """
    return replace(
        settings, epochs=8, learning_rate=3e-4, schedule="cosine", warm_up=0.5, weight_decay=0.01
    )


@dataclass(frozen=True)
class FinetuningSettings:
    """Settings of a self-critical fine-tuning on CIDEr.

    batch_size: in photos; samples: captions sampled for each photo; photos_at_once: for so many
    photos captions are sampled before the model is updated with them; longest: a sampled
    caption's greatest length in words; critic_reward: what a caption's fit to its photo, as the
    initial model's critic sees it (-1 to 1), is worth beside its CIDEr (0 to 10); patience: the
    training stops after so many epochs without a better CIDEr on dev.
    """

    decoder: str
    epochs: int = 3
    learning_rate: float = 1e-5
    batch_size: int = 32
    samples: int = 5
    photos_at_once: int = 512
    longest: int = 20
    critic_reward: float = 0.0
    patience: int = 3
    seed: int = 1


FINETUNING = {
    "merge": FinetuningSettings("merge"),
    "attention": FinetuningSettings("attention", epochs=4, learning_rate=3e-6),
    "transformer": FinetuningSettings("transformer"),
}
"""Each decoder's defaults for fine-tuning, chosen on dev.

The transformer's best epoch on dev is the third: after it, the reward of the samples still rose
while CIDEr on dev fell. The attention decoder diverges at the transformer's learning rate.
"""
