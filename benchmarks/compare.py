"""The comparisons: the classic way and ours on the same work, and whether they agree."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import classic, machine

ROOT = Path(__file__).parent.parent
VOCABULARY = 2541
LONGEST = 37
"""Words and longest caption of Flickr8k, as in the model that comes with the repository."""

PREFIX = LONGEST + 1


@dataclass
class Comparison:
    """One row: what was measured, the classic way's figure and ours, and their ratio.

    by_processor: the ratio of the processor's seconds, which other programs disturb less.
    unit says whether more is better ("photos/s") or less ("s"); target is what the ratio should
    at least be, or with `at_most` not exceed; share: of the machine's measured limit; checks:
    what shows that both did the same work, {what: value}.
    """

    name: str
    unit: str
    classic: float
    ours: float
    ratio: float
    by_processor: float
    target: float
    at_most: bool = False
    limit: float | None = None
    share: float | None = None
    checks: dict[str, Any] = field(default_factory=dict)

    @property
    def reached(self) -> bool:
        """Whether the target is reached."""
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target

    @property
    def highest(self) -> float | None:
        """The ratio at the machine's limit."""
        return None if self.limit is None else self.limit / self.classic


@dataclass(frozen=True)
class Rate:
    """Things a second: of wall time, and of the processor's time, threads and children included."""

    wall: float
    processor: float


Work = Callable[[], int | tuple[int, float]]


def alternate(first: Work, second: Work, rounds: int) -> list[Rate]:
    """The rates of two ways that take turns; each gives how many things it did, and, if another
    process did them, how many seconds of the processor that took.

    The median of the rounds: what else the machine does falls on both alike.
    """
    seen: list[list[tuple[float, float]]] = [[], []]
    for _ in range(rounds):
        for work, rates in zip((first, second), seen, strict=True):
            wall, before = time.perf_counter(), sum(os.times()[:4])
            done = work()
            done, elsewhere = done if isinstance(done, tuple) else (done, 0.0)
            used = sum(os.times()[:4]) - before + elsewhere
            rates.append((done / (time.perf_counter() - wall), done / max(used, 0.01)))
    return [Rate(*map(float, np.median(rates, axis=0))) for rates in seen]


# --- Vectors ---------------------------------------------------------------------------------


def features(
    photos: list[Path], weights: str, rounds: int = 3, small: bool = False
) -> Iterator[Comparison]:
    """Vectors of photos: one a `predict`, and in batches, in float32 and the fastest precision."""
    from captioning.vision.encoders import load_encoder, load_network

    name = "mini-xception" if small else "xception-block13"  # whose weights all files have
    encoders = {kind: load_encoder(name, weights, kind) for kind in ("float32", "auto")}
    network = pooled(load_network(name, weights))
    operations = convolution_operations(network)
    size = encoders["float32"].settings.size
    few = photos[: max(8, len(photos) // 8)]
    found: dict[str, np.ndarray] = {}

    def one_by_one() -> int:
        found["classic"] = classic.encode(network, few, size)
        return len(few)

    def compare(title: str, work: Work, precision: str, target: float) -> Comparison:
        one_by_one(), work()  # compiled before the clock starts
        before, after = alternate(one_by_one, work, rounds)
        limit = machine.peak(precision) / operations
        return Comparison(
            f"vectors, {name}, {title}",
            "photos/s",
            before.wall,
            after.wall,
            after.wall / before.wall,
            after.processor / before.processor,
            target,
            limit=limit,
            share=machine.cores() * after.processor / limit,
            checks={"least cosine": least_cosine(found["classic"], found["ours"][: len(few)])},
        )

    for kind, target in (("float32", 3.5), ("auto", 6.0)):
        encoder = encoders[kind]

        def in_batches(encoder: Any = encoder) -> int:
            found["ours"] = encode_all(encoder, photos)
            return len(found["ours"])

        yield compare(encoder.precision, in_batches, encoder.precision, target)

    if find_spec("openvino"):
        with openvino_process(name, photos, weights) as encode:

            def in_openvino() -> tuple[int, float]:
                found["ours"], seconds = encode()
                return len(found["ours"]), seconds

            yield compare("OpenVINO", in_openvino, "bfloat16", 6.0)


def encode_all(encoder: Any, photos: list[Path]) -> np.ndarray:
    """Vectors, float32 (photos, D), as `features.py` makes them: read ahead, in batches."""
    from captioning.vision.extraction import read_batches

    batches = read_batches(photos, encoder.settings.size, 16, {})
    return np.concatenate([encoder.encode(pixels) for _, pixels in batches])


@contextmanager
def openvino_process(
    name: str, photos: list[Path], weights: str
) -> Iterator[Callable[[], tuple[np.ndarray, float]]]:
    """A process with Keras on OpenVINO; each call gives all vectors and the processor's seconds."""
    code = "import sys; from benchmarks.compare import serve_vectors; serve_vectors(*sys.argv[1:])"
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "vectors.npy"
        process = subprocess.Popen(
            [sys.executable, "-c", code, name, weights, str(answer), *map(str, photos)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "KERAS_BACKEND": "openvino"},
        )

        def encode() -> tuple[np.ndarray, float]:
            process.stdin.write("again\n")
            process.stdin.flush()
            seconds = float(process.stdout.readline())
            return np.load(answer), seconds

        with process:  # its end closes the pipes, and so ends the process
            yield encode


def serve_vectors(name: str, weights: str, answer: str, *photos: str) -> None:
    """For each line of standard input, encode the photos into the file `answer`; print seconds."""
    from captioning.backend import import_keras

    import_keras()
    from captioning.vision.encoders import load_encoder

    encoder = load_encoder(name, weights)
    for _ in sys.stdin:
        began = time.process_time()
        np.save(answer, encode_all(encoder, list(map(Path, photos))))
        print(time.process_time() - began, flush=True)


def pooled(network: Any) -> Any:
    """The network as the classic recipe has it: scaled floats in, the vector out."""
    import keras

    vector = keras.layers.GlobalAveragePooling2D()(network.outputs[0])
    return keras.Model(network.inputs, vector)


def convolution_operations(network: Any) -> float:
    """Multiplications and additions of a photo's way through the convolutions."""
    total = 0
    for layer in network.layers:
        if "Conv2D" in type(layer).__name__:
            places = np.prod(layer.output.shape[1:3])
            for weight in layer.weights:
                if len(weight.shape) == 4:
                    # A separable convolution's first half leaves the channels apart.
                    total += 2 * places * np.prod(weight.shape)
    return float(total)


def least_cosine(one: np.ndarray, other: np.ndarray) -> float:
    """The least cosine between vectors (photos, D) of the same photos."""
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(axis=1) / lengths).min())


# --- Training --------------------------------------------------------------------------------


def training(
    photos: int = 2000,
    steps: int = 40,
    width: int = 384,
    vector_size: int = 2048,
    rounds: int = 3,
) -> Iterator[Comparison]:
    """The merge model on made-up captions as long as Flickr8k's, with as many words.

    The classic way trains on the samples of `steps` photos, a photo a step; ours on five captions
    of each of `photos`. Rates are captions a second.
    """
    from captioning.decoders.build import build_decoder
    from captioning.decoders.kinds import Architecture
    from captioning.training.batches import CaptionBatches
    from captioning.training.loop import compile_for_training
    from captioning.training.settings import TrainingSettings

    vectors, captions = made_up(photos, vector_size)
    settings = TrainingSettings(width=width)
    ours = build_decoder(Architecture("merge", width, 0.5), (vector_size,), VOCABULARY, LONGEST)
    ours.get_layer("standardise").adapt(vectors)
    old = classic.build(vector_size, VOCABULARY, width, PREFIX)
    classic.take_weights(old, ours)
    losses = same_loss(old, ours, vectors, captions)
    compile_for_training(ours, settings)
    flat = [tokens for own in captions for tokens in own]
    batches = CaptionBatches(vectors, np.repeat(np.arange(photos), 5), flat, settings.batch_size)
    operations = caption_operations(ours, batches)

    def a_photo_a_step() -> int:
        drawn = classic.samples(vectors[:steps], captions[:steps], PREFIX, VOCABULARY)
        old.fit(drawn, steps_per_epoch=steps, verbose=0)
        return 5 * steps

    def whole_captions() -> int:
        ours.fit(batches, epochs=1, verbose=0, shuffle=False)
        return len(flat)

    a_photo_a_step(), whole_captions()  # compiled before the clock starts
    before, after = alternate(a_photo_a_step, whole_captions, rounds)
    limit = machine.peak() / operations
    yield Comparison(
        "training, merge model, float32",
        "captions/s",
        before.wall,
        after.wall,
        after.wall / before.wall,
        after.processor / before.processor,
        16.0,
        limit=limit,
        share=machine.cores() * after.processor / limit,
        checks=losses,
    )


def made_up(photos: int, vector_size: int, seed: int = 0) -> tuple[np.ndarray, list]:
    """Vectors, float32 (photos, D), and five captions a photo, numbers as of Flickr8k.

    Lengths are spread as there (11 words in the mean, from 1 to 37), words by Zipf's law.
    """
    generator = np.random.default_rng(seed)
    vectors = generator.standard_gamma(0.5, (photos, vector_size), np.float32)
    lengths = np.clip(generator.gamma(7.5, 1.45, (photos, 5)).round(), 1, LONGEST).astype(int)
    chances = 1 / np.arange(1, VOCABULARY - 3)
    words = generator.choice(
        np.arange(4, VOCABULARY), lengths.sum(), p=chances / chances.sum()
    ).tolist()
    rest = iter(words)
    return vectors, [[[next(rest) for _ in range(n)] for n in own] for own in lengths]


def same_loss(old: Any, ours: Any, vectors: np.ndarray, captions: list) -> dict[str, float]:
    """The loss a word of both models on the same few captions, without dropout."""
    from captioning.training.batches import CaptionBatches
    from captioning.training.losses import loss_per_word

    few = captions[:8]
    total = count = 0.0
    for inputs, targets in classic.samples(vectors[:8], few, PREFIX, VOCABULARY):
        chances = old.predict_on_batch(list(inputs))
        total -= np.log((chances * targets).sum(axis=1)).sum()
        count += len(targets)
    flat = [tokens for own in few for tokens in own]
    batches = CaptionBatches(vectors, np.repeat(np.arange(8), 5), flat, 64)
    return {"classic loss": float(total / count), "our loss": loss_per_word(ours, batches)}


def caption_operations(model: Any, batches: Any) -> float:
    """Operations of training on a caption, in the mean: forward, and twice as many backward.

    Of the weights of the matrix products; each word, and for the photo's layer each caption,
    takes two operations a weight and direction.
    """
    words = batches.words / sum(len(batches[i][1]) for i in range(len(batches)))
    by_word = sum(
        np.prod(weight.shape)
        for layer in ("lstm", "merge_dense", "next_word")
        for weight in model.get_layer(layer).weights
        if len(weight.shape) == 2
    )
    by_caption = np.prod(model.get_layer("photo_dense").kernel.shape)
    return float(3 * 2 * (words * by_word + by_caption))


# --- Decoding --------------------------------------------------------------------------------


def decoding(
    folder: Path, photos: int = 1000, few: int = 8, rounds: int = 3
) -> Iterator[Comparison]:
    """Greedy captions from vectors, then a beam of five; the model that comes along says them."""
    from captioning.inference.loading import load

    captioner = load(folder)
    model = captioner.trained_model.model
    vectors = vectors_like(model, photos)
    longest = captioner.trained_model.max_length
    old = classic.build(
        model.inputs[0].shape[-1],
        captioner.trained_model.tokenizer.size,
        model.get_layer("photo_dense").units,
        longest + 1,
    )
    classic.take_weights(old, model)
    said: dict[str, list] = {}

    def whole_prefixes() -> int:
        said["classic"] = [classic.caption(old, vector, longest + 1) for vector in vectors[:few]]
        return few

    def a_batch(beam: int = 1) -> int:
        said["ours"] = [best[0].tokens for best in captioner.decoder.decode(vectors, beam=beam)]
        return photos

    whole_prefixes(), a_batch(), a_batch(5)  # compiled before the clock starts
    before, after = alternate(whole_prefixes, a_batch, rounds)
    pairs = zip(said["classic"], said["ours"][:few], strict=True)
    same = sum(one == other for one, other in pairs)
    yield Comparison(
        "greedy captions",
        "captions/s",
        before.wall,
        after.wall,
        after.wall / before.wall,
        after.processor / before.processor,
        150.0,
        checks={"same captions": f"{same} of {few}"},
    )
    one, five = alternate(a_batch, lambda: a_batch(5), rounds)
    yield Comparison(
        "beam 5 against greedy",
        "captions/s",
        one.wall,
        five.wall,
        one.wall / five.wall,
        one.processor / five.processor,
        4.0,
        at_most=True,
    )


def vectors_like(model: Any, photos: int, seed: int = 0) -> np.ndarray:
    """Vectors, float32 (photos, D), spread as those that the model was trained on."""
    layer = model.get_layer("standardise")
    mean, variance = (np.asarray(part).reshape(-1) for part in (layer.mean, layer.variance))
    vectors = np.random.default_rng(seed).standard_normal((photos, len(mean)), np.float32)
    vectors *= np.sqrt(variance)
    vectors += mean
    return vectors


# --- From the shell --------------------------------------------------------------------------


def starting(photo: Path, folder: Path, weights: str, rounds: int = 5) -> Iterator[Comparison]:
    """One photo from file to sentence, against a bare `import keras` that loads the two models."""
    bare = (
        "import keras; keras.applications.Xception(include_top=False, input_shape=(299, 299, 3), "
        f"weights={weights!r}); keras.models.load_model({str(folder / 'model.keras')!r}, "
        "compile=False)"
    )
    caption = ["caption_generator.py", "-i", photo, "--model", folder, "--weights", weights]

    def run(*arguments: object) -> Callable[[], int]:
        def work() -> int:
            subprocess.run(
                [sys.executable, *map(str, arguments)], cwd=ROOT, check=True, capture_output=True
            )
            return 1

        return work

    for name, first, second, target in (
        ("one photo from the shell, against loading alone", run("-c", bare), run(*caption), 1.3),
        (
            "--help, against the bare import",
            run("-c", "import keras"),
            run("caption_generator.py", "--help"),
            0.5,
        ),
    ):
        before, after = alternate(first, second, rounds)
        yield Comparison(
            name,
            "s",
            1 / before.wall,
            1 / after.wall,
            before.wall / after.wall,
            before.processor / after.processor,
            target,
            at_most=True,
        )
