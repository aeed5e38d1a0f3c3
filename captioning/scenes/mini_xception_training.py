"""Training the demo's encoder to classify what is in rendered scenes."""

import io
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops
from PIL import Image

from captioning.backend import set_seed
from captioning.scenes.dataset import JPEG_QUALITY
from captioning.scenes.drawing import draw_scene
from captioning.scenes.mini_xception import SIZE, WEIGHTS_FILE, build_mini_xception
from captioning.scenes.world import COLOURS, GROUNDS, KINDS, Scene, random_scene

PAIRS = len(KINDS) * len(COLOURS)
"""The (kind, colour) pairs that can be in a scene, the labels of the first output."""

VALIDATION_SCENES = 2000


class _TrainingScenes(keras.utils.PyDataset):
    """Batches of rendered scenes and their labels, shuffled each epoch, mirrored at random."""

    def __init__(
        self, images: np.ndarray, pairs: np.ndarray, grounds: np.ndarray, batch_size: int, seed: int
    ) -> None:
        super().__init__()
        self.images, self.pairs, self.grounds = images, pairs, grounds
        self.batch_size = batch_size
        self.generator = np.random.default_rng(seed)
        self.order = self.generator.permutation(len(images))

    def __len__(self) -> int:
        return len(self.images) // self.batch_size

    def __getitem__(self, index: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        images = scaled(self.images[rows])  # (batch, size, size, 3)
        mirrored = self.generator.random(len(rows)) < 0.5
        images[mirrored] = images[mirrored, :, ::-1]
        return images, {"pairs": self.pairs[rows], "ground": self.grounds[rows]}

    def on_epoch_end(self) -> None:
        self.order = self.generator.permutation(len(self.images))


def scaled(images: np.ndarray) -> np.ndarray:
    """Give uint8 images (0..255) as the encoder wants them: float32 from -1 to 1, same shape."""
    return images.astype(np.float32) / 127.5 - 1.0


def render_scenes(
    count: int, seed: int, size: int = SIZE
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Render random scenes as the encoder gets them: through a JPEG, reduced to `size` pixels.

    Gives the images, uint8 (count, size, size, 3); which (kind, colour) pairs are in each, zeros
    and ones, float32 (count, PAIRS); and the grounds' numbers, int32 (count,).
    """
    generator = np.random.default_rng(seed)
    images = np.empty((count, size, size, 3), np.uint8)
    pairs = np.zeros((count, PAIRS), np.float32)
    grounds = np.empty(count, np.int32)
    progress = keras.utils.Progbar(count, unit_name="scene")
    for row in range(count):
        scene = random_scene(generator)
        file = io.BytesIO()
        draw_scene(scene, generator).save(file, "JPEG", quality=JPEG_QUALITY)
        with Image.open(file) as photo:
            images[row] = np.asarray(photo.resize((size, size), Image.Resampling.BICUBIC))
        pairs[row, _pair_numbers(scene)] = 1.0
        grounds[row] = list(GROUNDS).index(scene.ground)
        if row % 100 == 99 or row + 1 == count:
            progress.update(row + 1)
    return images, pairs, grounds


def _pair_numbers(scene: Scene) -> list[int]:
    """Give the number of each thing's (kind, colour) pair, from 0 to PAIRS - 1."""
    order = list(COLOURS)
    return [KINDS.index(it.kind) * len(order) + order.index(it.colour) for it in scene.things]


def train_mini_xception(
    weights_file: Path = WEIGHTS_FILE, scenes: int = 15000, epochs: int = 10, seed: int = 0
) -> float:
    """Train the encoder to classify rendered scenes, and save its weights without the classifier.

    A linear classifier on the average-pooled grid predicts for each (kind, colour) pair whether it
    is in the scene, and on which ground it is; so all of that can be read from the pooled vector.
    The file is written again whenever an epoch is the best so far. Gives the share of validation
    scenes (0..1) for which the best epoch predicted every pair and the ground correctly. (The same
    scenes choose the epoch, so the share is a little optimistic.) The file that comes with the
    repository is the result of the defaults: 14 minutes on two processor cores, share 1.0.
    Raises ValueError when there are fewer scenes than a batch holds.
    """
    batch_size = 64
    if scenes < batch_size:
        raise ValueError(f"training needs at least {batch_size} scenes, not {scenes}")
    set_seed(seed)
    training = _TrainingScenes(*render_scenes(scenes, seed + 1), batch_size, seed)
    validation = render_scenes(VALIDATION_SCENES, seed + 2)
    encoder = build_mini_xception()
    model = _with_classifier(encoder)
    steps = len(training)  # an epoch's
    rate = keras.optimizers.schedules.CosineDecay(
        1e-4, epochs * steps, alpha=0.002, warmup_target=4e-3, warmup_steps=steps // 2
    )
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=1e-3),
        {"pairs": "binary_crossentropy", "ground": "sparse_categorical_crossentropy"},
        loss_weights={"pairs": 10.0, "ground": 0.2},  # a mean over 56 pairs is small
        metrics={"pairs": [all_correct], "ground": ["accuracy"]},
        jit_compile=False,  # XLA is much slower on processors
    )
    saver = _SaveBestEncoder(encoder, model, Path(weights_file), validation)
    model.fit(training, epochs=epochs, callbacks=[saver], verbose=2)
    return saver.best


def _with_classifier(encoder: keras.Model) -> keras.Model:
    """Put the linear classifier on the encoder: two outputs, `pairs` and `ground`."""
    vector = layers.GlobalAveragePooling2D(name="vector")(encoder.output)  # (batch, channels)
    pairs = layers.Dense(PAIRS, "sigmoid", name="pairs")(vector)  # (batch, PAIRS)
    ground = layers.Dense(len(GROUNDS), "softmax", name="ground")(vector)  # (batch, grounds)
    return keras.Model(encoder.input, {"pairs": pairs, "ground": ground})


def all_correct(labels: keras.KerasTensor, predicted: keras.KerasTensor) -> keras.KerasTensor:
    """Whether all predictions of a row are on the correct side of one half, as 0.0 or 1.0.

    Both are (batch, labels) from 0 to 1; gives float32 (batch,).
    """
    same = ops.equal(labels > 0.5, predicted > 0.5)  # (batch, labels)
    return ops.cast(ops.all(same, axis=-1), "float32")  # (batch,)


class _SaveBestEncoder(keras.callbacks.Callback):
    """Saves the encoder, without the classifier, after each epoch that is the best so far.

    Keras' own ModelCheckpoint would save the classifier too, and knows no metric over two outputs.
    """

    def __init__(
        self,
        encoder: keras.Model,
        classifier: keras.Model,
        weights_file: Path,
        validation: tuple[np.ndarray, np.ndarray, np.ndarray],
    ) -> None:
        super().__init__()
        self.encoder, self.classifier, self.weights_file = encoder, classifier, weights_file
        self.images, self.pairs, self.grounds = validation
        self.best = -1.0

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        predicted = self.classifier.predict(scaled(self.images), batch_size=100, verbose=0)
        pairs_correct = ((predicted["pairs"] > 0.5) == (self.pairs > 0.5)).all(axis=-1)  # (scenes,)
        ground_correct = predicted["ground"].argmax(axis=-1) == self.grounds  # (scenes,)
        share = float((pairs_correct & ground_correct).mean())
        print(f"epoch {epoch + 1}: {share:.2%} of the validation scenes all correct", flush=True)
        if share > self.best:
            self.best = share
            self.weights_file.parent.mkdir(parents=True, exist_ok=True)
            self.encoder.save_weights(self.weights_file)
