"""Self-critical sequence training: fine-tuning on CIDEr instead of cross-entropy.

Rennie et al. 2017, "Self-critical sequence training", https://arxiv.org/abs/1612.00563. For each
photo, several captions are sampled from the decoder and rewarded with their CIDEr. Those above
the photo's baseline become more probable, those below less. The baseline of a sample is the mean
reward of the photo's other samples, as in Luo 2020, https://arxiv.org/abs/2003.09971.

The policy gradient (REINFORCE) of a sample is its advantage times the gradient of its
log-probability. That is the gradient of the cross-entropy on the sampled captions with the
advantages as sample weights, so Keras' own `fit` does the training.
"""

import sys
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from captioning.backend import set_seed, uses_xla
from captioning.data.prepared import Prepared
from captioning.decoders.build import steps_of
from captioning.decoders.kinds import READ_GRIDS
from captioning.errors import CaptioningError, command_line
from captioning.inference.critic import read_critic
from captioning.inference.search import greedy, sample
from captioning.inference.settings import DecodingSettings
from captioning.training.batches import (
    Batches,
    CaptionBatches,
    PhotoBatches,
    Weighting,
    grids_of,
)
from captioning.training.checkpoint import (
    Checkpoint,
    NotFiniteError,
    Progress,
    check_same_everywhere,
    describe_data,
)
from captioning.training.distribution import alone, gather, is_first_process, own_share
from captioning.training.dropout import seed_dropout
from captioning.training.loop import run_epochs
from captioning.training.losses import WordLoss
from captioning.training.mean_weights import OwnCopy, copy_model, update_mean_weights
from captioning.training.records import EpochRecords
from captioning.training.rewards import CiderAndCriticRewards, CiderRewards
from captioning.training.settings import FinetuningSettings
from captioning.training.starting_point import StartingPoint

DECODED_AT_ONCE = 250
"""So many photos of dev are captioned side by side."""


def finetune_on_cider(
    prepared: Prepared,
    settings: FinetuningSettings,
    folder: Path,
    resume: bool,
    starting_point: StartingPoint,
    records: EpochRecords | None = None,
) -> tuple[keras.Model, Progress]:
    """Fine-tune the initial model; returns the mean of its weights up to the best epoch on dev.

    Fine-tuning drifts away from the captions of people. The mean of the weights over the
    epochs scores better than the last ones (Izmailov et al. 2018,
    https://arxiv.org/abs/1803.05407), and the initial weights belong to it (Wortsman et al. 2022,
    https://arxiv.org/abs/2109.01903). CIDEr on dev is that of the model with the mean weights.

    Ends as `loop.train` when the loss is no longer finite. Raises `CaptioningError` when there is
    no initial model, nothing to resume, or when it was started with other settings or data.
    """
    set_seed(settings.seed)
    checkpoint = Checkpoint(folder / "checkpoint")
    data = describe_data(prepared)
    check_same_everywhere(settings, data, prepared)
    if resume:
        progress, model, mean = checkpoint.read(settings, data)
    else:
        if starting_point.initial is None:
            raise CaptioningError("fine-tuning needs a trained model; name it with --initial")
        model = starting_point.initial.model
        progress = Progress(asdict(settings), data)
        compile_for_finetuning(model, settings)
        with alone():
            mean = copy_model(model)
    train, dev = (FinetuningSplit(prepared, split, settings) for split in ("train", "dev"))
    if settings.critic_reward:
        train.rewards = rewards_with_critic(prepared, train.cider, settings, starting_point)
    sampler = Sampler(model, settings)
    with alone():
        mean_steps = steps_of(mean)

    def epoch() -> None:
        row = _finetune_epoch(model, sampler, train, progress, settings)
        # One more than the epochs so far: the initial weights count as well.
        update_mean_weights(mean, model, progress.epoch + 1)
        row["dev_CIDEr"] = cider_of_greedy_captions(mean_steps, dev, settings.longest)
        if is_first_process():
            print(f"dev CIDEr of the mean weights: {row['dev_CIDEr']:.1f}", file=sys.stderr)
        progress.record(row, row["dev_CIDEr"])

    return run_epochs(epoch, model, progress, checkpoint, records, mean)


def rewards_with_critic(
    prepared: Prepared,
    cider: CiderRewards,
    settings: FinetuningSettings,
    starting_point: StartingPoint,
) -> CiderAndCriticRewards:
    """The training photos' rewards, of CIDEr and the initial model's critic.

    Raises `CaptioningError` when there is no initial model, or it has no critic that can be read.
    """
    initial = starting_point.initial
    if initial is None:
        raise CaptioningError("a reward by the critic wants its model; name it with --initial")
    vectors = prepared.features.matrix(prepared.splits["train"])  # (photos, D)
    critic = read_critic(initial.folder, vectors.shape[1], initial.tokenizer.size)
    if critic is None:
        raise CaptioningError(
            f"{initial.folder} has no critic; train it with: {command_line('train')} --critic "
            f"{initial.folder}"
        )
    return CiderAndCriticRewards(cider, critic, vectors, settings.critic_reward)


def compile_for_finetuning(model: keras.Model, settings: FinetuningSettings) -> None:
    """Compile the model with Adam and a cross-entropy that takes advantages as weights."""
    model.compile(
        optimizer=keras.optimizers.Adam(settings.learning_rate, global_clipnorm=1.0),
        # Not divided by the sum of the weights, as in training: a photo's advantages sum to 0.
        loss=WordLoss(reduction="sum_over_batch_size"),
        jit_compile=uses_xla(),
    )


def advantages(rewards: np.ndarray) -> np.ndarray:
    """Each sample's reward minus the mean reward of the photo's others: float32 (photos, samples).

    rewards: (photos, samples). The sample's own reward is left out of its baseline, so that the
    baseline doesn't depend on it and the policy gradient stays unbiased.
    """
    samples = rewards.shape[1]
    baselines = (rewards.sum(axis=1, keepdims=True) - rewards) / (samples - 1)
    return (rewards - baselines).astype(np.float32)


class FinetuningSplit:
    """A split's photos as the decoder reads them, and the rewards of captions of them.

    cider: of captions; rewards: the same, or with a critic's beside it.
    views: int (photos, views), each photo's rows of its inputs: the photo itself and, of grids,
    its other views.
    """

    def __init__(self, prepared: Prepared, split: str, settings: FinetuningSettings) -> None:
        names = prepared.splits[split]
        self._settings = settings
        self.cider = CiderRewards(prepared, names, settings.longest)
        self.rewards: CiderRewards | CiderAndCriticRewards = self.cider
        self._has_grids = settings.decoder in READ_GRIDS
        if self._has_grids:
            self.views = prepared.features.grid_rows(names)  # (photos, views)
            self._inputs = grids_of(prepared.features)
        else:
            self.views = np.arange(len(names))[:, None]  # (photos, 1)
            self._inputs = prepared.features.matrix(names)

    def inputs(self, rows: np.ndarray) -> np.ndarray:
        """Vectors (photos, D), or grids (photos, regions, D), of some rows."""
        return self._inputs[rows]

    def batches(
        self, rows: np.ndarray, captions: list[list[list[int]]], weights: np.ndarray
    ) -> Batches:
        """Batches of sampled captions. rows: (photos,); captions, weights: (photos, samples)."""
        photos_per_batch, max_words = self._settings.batch_size, self._settings.longest
        if self._has_grids:
            weighting = Weighting(weights, max_words)
            # The view that the captions were sampled from, and no other.
            views = rows[:, None]  # (photos, 1)
            return PhotoBatches(
                self._inputs, views, captions, photos_per_batch, weighting=weighting
            )
        samples = weights.shape[1]
        return CaptionBatches(
            self._inputs,
            np.repeat(rows, samples),  # (captions,)
            [tokens for own in captions for tokens in own],
            photos_per_batch * samples,
            weighting=Weighting(weights.reshape(-1), max_words),
        )


def _finetune_epoch(
    model: keras.Model,
    sampler: "Sampler",
    train: FinetuningSplit,
    progress: Progress,
    settings: FinetuningSettings,
) -> dict[str, float]:
    """Sample, reward and train, a group of photos after the other: the row of `history.csv`."""
    began = time.perf_counter()
    generator = np.random.default_rng((settings.seed, progress.epoch))
    seed_dropout(model, settings.seed, progress.epoch)
    order = generator.permutation(len(train.views))
    mean_rewards = []
    title = f"epoch {progress.epoch + 1}/{settings.epochs}"
    with tqdm(total=len(order), desc=title, unit=" photos") as bar:
        # Many batches are sampled at once, with the weights before them: sampling is a loop of
        # small steps, much faster for many photos side by side. The samples are up to
        # `photos_at_once / batch_size` updates old when they are used.
        for start in range(0, len(order), settings.photos_at_once):
            chosen = order[start : start + settings.photos_at_once]
            views = train.views[chosen]  # (photos, views)
            drawn = generator.integers(views.shape[1], size=len(views))
            rows = views[np.arange(len(views)), drawn]  # (photos,)
            captions, rewards = sampler.sample(train, chosen, rows, progress.epoch)
            mean_rewards.append(rewards.mean())
            batches = train.batches(rows, captions, advantages(rewards))
            logs = model.fit(batches, epochs=1, verbose=0, shuffle=False)
            if not np.isfinite(logs.history["loss"][-1]):
                raise NotFiniteError(
                    f"the loss is not finite after {start:,} photos of epoch "
                    f"{progress.epoch + 1}; lower --learning-rate"
                )
            bar.update(len(chosen))
            bar.set_postfix_str(f"reward {100 * np.mean(mean_rewards):.1f}")
    progress.epoch += 1
    return {
        "epoch": progress.epoch,
        "reward": 100 * float(np.mean(mean_rewards)),
        "seconds": round(time.perf_counter() - began, 1),
    }


class Sampler:
    """Samples captions from a model that is being trained, and rewards them.

    Each of several processes samples for its own photos, and all are told what the others have.
    """

    def __init__(self, model: keras.Model, settings: FinetuningSettings) -> None:
        self._own, self._settings = OwnCopy(model), settings
        with alone():
            self._steps = steps_of(self._own.model)

    def sample(
        self, train: "FinetuningSplit", chosen: np.ndarray, rows: np.ndarray, epoch: int
    ) -> tuple[list[list[list[int]]], np.ndarray]:
        """Captions of the photos `chosen`, (photos,), and their rewards, (photos, samples).

        rows: (photos,), what is read of each photo. What is drawn for a photo depends on it, on
        seed and epoch alone.
        """
        self._own.update()
        share = own_share()
        own = _part(len(chosen), share.process, share.processes)
        captions: list[list[list[int]]] = []
        if own.start < own.stop:
            seeds = [(self._settings.seed, epoch, int(photo)) for photo in chosen[own]]
            with alone():
                captions = _sample(self._steps, train.inputs(rows[own]), self._settings, seeds)
        rewards = [
            [train.rewards.of(photo, tokens) for tokens in of_photo]
            for photo, of_photo in zip(chosen[own], captions, strict=True)
        ]
        every = gather([captions, rewards])
        return (
            [of_photo for captions, _ in every for of_photo in captions],
            np.array([of_photo for _, rewards in every for of_photo in rewards]),
        )


def _part(count: int, process: int, processes: int) -> slice:
    """The places, of `count`, that a process computes; the last process may have fewer."""
    own = -(-count // processes)
    return slice(min(count, process * own), min(count, (process + 1) * own))


def _sample(
    steps: Any,
    inputs: np.ndarray,
    settings: FinetuningSettings,
    seeds: list[tuple[int, int, int]],
) -> list[list[list[int]]]:
    photo, state = steps.begin(inputs)
    return sample(
        partial(_step, steps, photo),
        state,
        len(inputs),
        settings.samples,
        DecodingSettings(max_words=settings.longest),
        list(map(np.random.default_rng, seeds)),
    )


def _step(
    steps: Any, photo: Any, words: np.ndarray, state: list[np.ndarray]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """A step as the search wants it: of words and state alone."""
    return steps.step(words, photo, state)


def cider_of_greedy_captions(steps: Any, photos: FinetuningSplit, longest: int) -> float:
    """Mean CIDEr-D (times 100) of greedy captions of a split, the end token counted as a word."""
    share = own_share()
    own = _part(len(photos.views), share.process, share.processes)
    scores: list[float] = []
    with alone():
        for start in range(own.start, own.stop, DECODED_AT_ONCE):
            rows = photos.views[start : min(start + DECODED_AT_ONCE, own.stop), 0]  # (photos,)
            photo, state = steps.begin(photos.inputs(rows))
            found = greedy(
                partial(_step, steps, photo),
                state,
                len(rows),
                DecodingSettings(max_words=longest),
            )
            scores += [photos.cider.of(start + i, list(h.tokens)) for i, h in enumerate(found)]
    return 100 * float(np.mean([score for part in gather(scores) for score in part]))
