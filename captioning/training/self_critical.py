"""Self-critical fine-tuning: captions are sampled, and those better than their siblings are taught.

Rennie et al. 2017, "Self-critical sequence training", https://arxiv.org/abs/1612.00563; what a
sample is compared with is the mean of the photo's other samples, as in Luo 2020,
https://arxiv.org/abs/2003.09971. The gradient of the expected reward is that of a cross-entropy
on the sampled captions, each weighted with its advantage, so Keras' `fit` does the training.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from captioning.backend import uses_xla
from captioning.data.prepared import Prepared
from captioning.data.text import END, MARKERS
from captioning.decoders.build import steps_of
from captioning.decoders.kinds import READ_GRIDS
from captioning.inference.search import greedy, sample
from captioning.inference.settings import DecodingSettings
from captioning.training.batches import Batches, CaptionBatches, PhotoBatches
from captioning.training.checkpoint import Checkpoint, NotFiniteError, Progress
from captioning.training.cider import CiderD
from captioning.training.loop import describe_data, run_epochs, start_dropout
from captioning.training.losses import WordLoss
from captioning.training.settings import FinetuningSettings


class Rewards:
    """CIDEr-D of captions of the photos `names`, the caption's end counted as a word.

    Without the end, captions that stop in mid-sentence ("a dog in the") would be rewarded. One of
    `longest` words was cut off there and has none.
    """

    def __init__(self, prepared: Prepared, names: list[str], longest: int) -> None:
        self._longest = longest
        self._shown = prepared.tokenizer.shown
        self._end = MARKERS[END]
        references = [[[*c.split(), self._end] for c in prepared.captions[n]] for n in names]
        self._scorer = CiderD(references)

    def of(self, photo: int, tokens: list[int]) -> float:
        """The reward of a caption (numbers) of the photo with that place, 0 to 10."""
        end = [self._end] if len(tokens) < self._longest else []
        return self._scorer.score(photo, [*map(self._shown, tokens), *end])


def finetune(
    prepared: Prepared,
    model: keras.Model,
    settings: FinetuningSettings,
    folder: Path,
    resume: bool = False,
    after_epoch: Callable[[Progress], None] | None = None,
) -> tuple[keras.Model, Progress]:
    """Fine-tune a trained model; give the mean of its weights, from before to the best epoch.

    A fine-tuning wanders, and forgets: the mean of where it stood is better than where it stands
    (Izmailov et al. 2018, https://arxiv.org/abs/1803.05407), and where it began counts too
    (Wortsman et al. 2022, https://arxiv.org/abs/2109.01903). Dev's CIDEr is that of the mean.
    Ends as `training.train` when the loss is no number any more. Raises `CaptioningError` when
    there is nothing to resume, or other settings or data.
    """
    keras.utils.set_random_seed(settings.seed)
    checkpoint = Checkpoint(folder / "checkpoint")
    about_data = describe_data(prepared)
    if resume:
        progress, model = checkpoint.read(settings, about_data)
        mean = checkpoint.mean_model(progress)
    else:
        progress = Progress(asdict(settings), about_data)
        compile_for_finetuning(model, settings)
        mean = copy_of(model)
    photos = {split: Photos(prepared, split, settings) for split in ("train", "dev")}
    steps, mean_steps = steps_of(model), steps_of(mean)

    def epoch() -> None:
        row = _finetune_epoch(model, steps, photos["train"], progress, settings)
        add_to_mean(mean, model, progress.epoch + 1)  # with the weights before the first epoch
        row["dev_CIDEr"] = greedy_cider(mean_steps, photos["dev"], settings.longest)
        print(f"dev CIDEr of the mean: {row['dev_CIDEr']:.1f}", file=sys.stderr)
        progress.record(row, row["dev_CIDEr"])

    return run_epochs(epoch, model, progress, checkpoint, after_epoch, mean)


def copy_of(model: keras.Model) -> keras.Model:
    """Another model with the same weights, which says the same."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    for layer in copy.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # it computes with what it makes of its weights here
    return copy


def add_to_mean(mean: keras.Model, model: keras.Model, count: int) -> None:
    """Make the weights of `mean`, the mean of `count - 1` models', the mean of `count` models'."""
    for kept, new in zip(mean.trainable_weights, model.trainable_weights, strict=True):
        before = np.asarray(kept)
        kept.assign(before + (np.asarray(new) - before) / count)


def compile_for_finetuning(model: keras.Model, settings: FinetuningSettings) -> None:
    """Give the model Adam and a cross-entropy. Advantages sum to 0: no mean by their weight."""
    model.compile(
        optimizer=keras.optimizers.Adam(settings.learning_rate, global_clipnorm=1.0),
        loss=WordLoss(reduction="sum_over_batch_size"),
        jit_compile=uses_xla(),
    )


class Photos:
    """The photos of a split as the decoder reads them, with the rewards of captions of them."""

    def __init__(self, prepared: Prepared, split: str, settings: FinetuningSettings) -> None:
        names = prepared.splits[split]
        self._longest = settings.longest
        self.rewards = Rewards(prepared, names, settings.longest)
        self._has_grids = settings.decoder in READ_GRIDS
        if self._has_grids:
            self._inputs = prepared.features.grids
            self.views = prepared.features.grid_rows(names)  # (photos, views)
        else:
            self._inputs = prepared.features.matrix(names)
            self.views = np.arange(len(names))[:, None]

    def inputs(self, rows: np.ndarray) -> np.ndarray:
        """Vectors or grids of some rows."""
        return self._inputs[rows]

    def batches(
        self, rows: np.ndarray, captions: list[list[list[int]]], worth: np.ndarray, size: int
    ) -> Batches:
        """Batches of sampled captions (photos, samples) and what each is worth."""
        if self._has_grids:
            return PhotoBatches(
                self._inputs, rows[:, None], captions, size, worth=worth, cut=self._longest
            )
        flat = [tokens for own in captions for tokens in own]
        owners = np.repeat(rows, worth.shape[1])
        return CaptionBatches(
            self._inputs,
            owners,
            flat,
            size * worth.shape[1],
            worth=worth.reshape(-1),
            cut=self._longest,
        )


def _finetune_epoch(
    model: keras.Model,
    steps: Any,
    train: Photos,
    progress: Progress,
    settings: FinetuningSettings,
) -> dict[str, float]:
    began = time.perf_counter()
    generator = np.random.default_rng((settings.seed, progress.epoch))
    start_dropout(model, settings.seed, progress.epoch)
    order = generator.permutation(len(train.views))
    rewards = []
    title = f"epoch {progress.epoch + 1}/{settings.epochs}"
    with tqdm(total=len(order), desc=title, unit=" photos") as bar:
        for start in range(0, len(order), settings.photos_at_once):
            chosen = order[start : start + settings.photos_at_once]
            views = train.views[chosen]  # (photos, views)
            drawn = generator.integers(views.shape[1], size=len(views))
            rows = views[np.arange(len(views)), drawn]
            captions = _sample(steps, train.inputs(rows), settings, generator)
            reward = np.array(
                [
                    [train.rewards.of(photo, tokens) for tokens in own]
                    for photo, own in zip(chosen, captions, strict=True)
                ]
            )  # (photos, samples)
            rewards.append(reward.mean())
            batches = train.batches(rows, captions, advantages(reward), settings.batch_size)
            logs = model.fit(batches, epochs=1, verbose=0, shuffle=False)
            if not np.isfinite(logs.history["loss"][-1]):
                raise NotFiniteError(
                    f"the loss is not a number any more after {start:,} photos of epoch "
                    f"{progress.epoch + 1}; lower --learning-rate"
                )
            bar.update(len(chosen))
            bar.set_postfix_str(f"reward {100 * np.mean(rewards):.1f}")
    progress.epoch += 1
    return {
        "epoch": progress.epoch,
        "reward": 100 * float(np.mean(rewards)),
        "seconds": round(time.perf_counter() - began, 1),
    }


def advantages(rewards: np.ndarray) -> np.ndarray:
    """How much better each sample is than the mean of its photo's others: (photos, samples)."""
    samples = rewards.shape[1]
    others = (rewards.sum(axis=1, keepdims=True) - rewards) / (samples - 1)
    return (rewards - others).astype(np.float32)


def _sample(
    steps: Any, inputs: np.ndarray, settings: FinetuningSettings, generator: np.random.Generator
) -> list[list[list[int]]]:
    photo, state = steps.begin(inputs)
    return sample(
        lambda words, state: steps.step(words, photo, state),
        state,
        len(inputs),
        settings.samples,
        DecodingSettings(max_words=settings.longest),
        generator,
    )


def greedy_cider(steps: Any, photos: Photos, longest: int) -> float:
    """CIDEr-D (times 100) of greedy captions of all photos, their ends counted as words."""
    scores = []
    for start in range(0, len(photos.views), 250):
        rows = photos.views[start : start + 250, 0]
        photo, state = steps.begin(photos.inputs(rows))
        found = greedy(
            lambda words, state, photo=photo: steps.step(words, photo, state),
            state,
            len(rows),
            DecodingSettings(max_words=longest),
        )
        scores += [photos.rewards.of(start + i, list(h.tokens)) for i, h in enumerate(found)]
    return 100 * float(np.mean(scores))
