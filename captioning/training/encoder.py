"""Fine-tuning of an EfficientNet-Lite together with a decoder that was trained on its grids.

Everywhere else the encoder is frozen and photos are encoded once. Here each step reads pixels:
cross-entropy of the captions trains encoder and decoder, and beside it a contrastive loss the
encoder's vectors, as in CoCa (Yu et al. 2022, https://arxiv.org/abs/2205.01917). Afterwards the
encoder is frozen again, with weights of its own: `encoder.npz` in the model's folder.

The normalisations were folded into the convolutions before, so their statistics stay ImageNet's.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from captioning.backend import set_seed
from captioning.data.prepared import Prepared
from captioning.data.text import PADDING, START
from captioning.errors import CaptioningError
from captioning.inference.trained_model import TrainedModel
from captioning.training.batches import PhotoBatches
from captioning.training.checkpoint import NotFiniteError, Progress, describe_data
from captioning.training.critic import ContrastiveLoss, CriticSettings, build_critic
from captioning.training.epoch import train_epoch
from captioning.training.losses import loss_evaluator, mean_loss
from captioning.training.models import compile_for_training
from captioning.training.settings import TrainingSettings
from captioning.vision.efficientnet_lite import VARIANTS
from captioning.vision.encoders import Encoder
from captioning.vision.images import UnreadableImageError, open_image, to_array
from captioning.vision.own_weights import OwnWeights, kernel_shapes

CONTRAST = 0.3
"""What the contrastive loss counts beside the captions' cross-entropy."""

CROPS = tuple(
    (left, top, side)
    for side, places in ((1.0, (0.0,)), (6 / 7, (0.0, 1 / 7)), (0.8, (0.1,)))
    for left in places
    for top in places
)
"""What a step may see of a photo, mirrored or not: left, top and side, as shares of its sides."""


class CroppedPhotos:
    """Photos as `PhotoBatches` reads grids: by row, opened and cropped when they are asked for.

    Row r is a crop of photo r // crops, of which the first is the photo itself.
    """

    def __init__(self, files: Sequence[Path], size: int) -> None:
        self.files, self.size = files, size
        self.crops = 2 * len(CROPS)

    def rows(self) -> np.ndarray:
        """Each photo's rows, int (photos, crops)."""
        return np.arange(len(self.files) * self.crops).reshape(-1, self.crops)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Pixels, uint8 (rows, size, size, 3). Raises `CaptioningError` for an unreadable photo."""
        return np.stack([self._crop(*divmod(int(row), self.crops)) for row in rows])

    def _crop(self, photo: int, number: int) -> np.ndarray:
        try:
            image = open_image(self.files[photo])
        except UnreadableImageError as error:
            raise CaptioningError(f"cannot read {self.files[photo]}: {error}") from None
        (left, top, side), mirrored = CROPS[number // 2], number % 2
        width, height = image.size
        right, below = left + side, top + side
        image = image.crop(
            (
                round(left * width),
                round(top * height),
                round(right * width),
                round(below * height),
            )
        )
        pixels = to_array(image, self.size)  # (size, size, 3)
        return pixels[:, ::-1] if mirrored else pixels


class ContrastiveTerm(layers.Layer):
    """Passes the logits on, and adds to the training's loss how badly photos and captions match.

    critic: a network of `build_critic`, trained along and dropped afterwards. Called with logits
    (P, C, T, vocabulary), the photos' vectors (P, D) and the words that the decoder reads (P, C,
    T); each caption is compared with each photo of the batch.
    """

    def __init__(self, critic: keras.Model, **options: Any) -> None:
        super().__init__(**options)
        self.critic = critic

    def call(self, logits: Any, vectors: Any, words: Any, training: bool = False) -> Any:
        """The logits, as the class says."""
        if training:
            photos, captions = ops.shape(words)[0], ops.shape(words)[1]
            tokens = ops.where(words == START, PADDING, words)
            tokens = ops.reshape(tokens, (photos * captions, -1))  # (P * C, T)
            number = ops.broadcast_to(ops.arange(photos)[:, None], (photos, captions))  # (P, C)
            number = ops.reshape(number, (-1,))  # (P * C,)
            both = self.critic([ops.take(vectors, number, axis=0), tokens], training=True)
            losses = ContrastiveLoss(CriticSettings().sharpness).call(number, both)  # (P * C,)
            # Captions that fill up a photo have no words.
            count = ops.cast(ops.any(tokens != PADDING, axis=-1), losses.dtype)  # (P * C,)
            self.add_loss(CONTRAST * ops.sum(losses * count) / ops.maximum(ops.sum(count), 1.0))
        return logits


def joint_model(encoder: Encoder, initial: TrainedModel, vectors: np.ndarray) -> keras.Model:
    """Encoder and decoder as one network: pixels and words to logits, all weights trainable.

    vectors: of the training photos, (photos, D). The decoder's layers are those of
    `initial.model`.
    """
    front = encoder.vector_and_grid_model
    front.trainable = True
    pixels = layers.Input(front.inputs[0].shape[1:], dtype="uint8", name="pixels")
    vector, grid = front(pixels)  # (P, D), (P, side, side, grid_size)
    grid = layers.Reshape(initial.model.inputs[0].shape[1:], name="regions")(grid)
    words = layers.Input((None, None), dtype="int32", name="words")
    # The same layers on an input in single precision: gradients would underflow in half.
    single = layers.Input(grid.shape[1:], dtype="float32")
    decoder = keras.models.clone_model(
        initial.model, input_tensors=[single, words], clone_function=lambda layer: layer
    )
    critic = build_critic(vectors, initial.tokenizer.size, replace(CriticSettings(), dropout=0.2))
    term = ContrastiveTerm(critic, name="contrast")
    return keras.Model([pixels, words], term(decoder([grid, words]), vector, words), name="joint")


def finetune_encoder(
    prepared: Prepared,
    settings: TrainingSettings,
    photos: Path,
    initial: TrainedModel,
    encoder: Encoder,
    save: Callable[[Progress, "OwnWeights"], None],
) -> Progress:
    """Train both. After each epoch that is the best so far on dev `save` is called: the decoder is
    in `initial.model` then, and the encoder's weights are given.

    photos: the folder of the photos. Nothing else is kept: a training that was stopped goes on
    from what was saved, as a new one. Raises `CaptioningError` for photos that can't be read, and
    when the loss isn't finite before there is a best epoch.
    """
    set_seed(settings.seed)
    batches, dev = (
        photo_batches(prepared, split, settings, photos, encoder.settings.size)
        for split in ("train", "dev")
    )
    model = joint_model(encoder, initial, prepared.features.matrix(prepared.splits["train"]))
    compile_for_training(model, settings, len(batches))
    evaluator = loss_evaluator(model)
    progress = Progress(asdict(settings), describe_data(prepared))
    while not progress.finished():
        try:
            train_epoch(
                model, batches, lambda: {"dev_loss": mean_loss(evaluator, dev)}, progress, settings
            )
        except NotFiniteError as error:
            if not progress.best_epoch:
                raise
            progress.fault = f"{error}. The model of epoch {progress.best_epoch} is kept"
            break
        if progress.best_epoch == progress.epoch:
            save(progress, encoder_weights(model, encoder.settings.name))
    return progress


def photo_batches(
    prepared: Prepared, split: str, settings: TrainingSettings, photos: Path, size: int
) -> PhotoBatches:
    """Batches of a split's pixels with all of a photo's captions; of dev, the photos themselves.

    Raises `CaptioningError` when a photo isn't in the folder.
    """
    names = prepared.splits[split]
    missing = [name for name in names if not (photos / name).is_file()]
    if missing:
        raise CaptioningError(
            f"{len(missing):,} photos of {split} are not in {photos}, {missing[0]} among them; "
            "name their folder with --photos"
        )
    cropped = CroppedPhotos([photos / name for name in names], size)
    rows = cropped.rows()  # (photos, crops)
    return PhotoBatches(
        cropped,  # type: ignore[arg-type]  # read like an array: by rows
        rows if split == "train" else rows[:, :1],
        prepared.encoded_by_photo(names),
        settings.batch_size,
        settings.seed,
    )


def encoder_weights(joint: keras.Model, name: str) -> OwnWeights:
    """Kernels, (out, in, rows, columns), and biases, (out,), of the encoder of that name."""
    front = joint.get_layer(name)
    (network,) = (layer for layer in front.layers if isinstance(layer, keras.Model))
    kernels, biases = {}, {}
    for layer in kernel_shapes(VARIANTS[name]):
        kernel, biases[layer] = network.get_layer(layer).get_weights()
        order = (2, 3, 0, 1) if layer.endswith("_depthwise") else (3, 2, 0, 1)
        kernels[layer] = kernel.transpose(order)
    return OwnWeights(kernels, biases)
