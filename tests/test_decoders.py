"""The decoders: word by word equals the whole caption; saving, attention weights, ensembles."""

from pathlib import Path

import keras
import numpy as np
import pytest

from captioning.data.text import END, PADDING, START
from captioning.decoders.build import build_decoder, steps_of
from captioning.decoders.ensemble import Ensemble, Seen
from captioning.decoders.kinds import Architecture
from captioning.inference.search import search
from captioning.inference.settings import DecodingSettings
from captioning.training.batches import PhotoBatches
from captioning.training.losses import WordLoss, loss_per_word

REGIONS, SIZE, WORDS = 6, 5, 11


def toy(
    name: str, seed: int = 1, depth: int = 2, regions: int = REGIONS, size: int = SIZE
) -> keras.Model:
    keras.utils.set_random_seed(seed)
    shape = (size,) if name == "merge" else (regions, size)
    return build_decoder(Architecture(name, 12, 0.3, depth), shape, WORDS, longest=8)


def toy_grids(photos: int, regions: int = REGIONS, size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(photos, regions, size)).astype(np.float16)


def toy_words(photos: int, captions: int, steps: int) -> np.ndarray:
    words = np.random.default_rng(4).integers(4, WORDS, (photos, captions, steps)).astype("int32")
    words[..., 0] = START
    return words


@pytest.mark.parametrize(
    ("name", "depth"),
    [("attention", 1), ("transformer", 1), ("transformer", 2), ("transformer", 3)],
)
def test_one_word_at_a_time_equals_the_whole_caption(name: str, depth: int) -> None:
    model, grids, words = toy(name, depth=depth), toy_grids(3), toy_words(3, 2, 7)
    whole = np.asarray(keras.ops.log_softmax(model([grids, words])))  # (3, 2, 7, WORDS)
    steps = steps_of(model)
    photo, state = steps.begin(grids)
    state = [np.repeat(part, 2, axis=1) for part in state]
    for position in range(7):
        found, state = steps.step(words[..., position], photo, state)
        np.testing.assert_allclose(found, whole[:, :, position], atol=1e-5)
        assert steps.attention.shape == (3, 2, REGIONS)
        np.testing.assert_allclose(steps.attention.sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize(
    ("name", "depth"), [("merge", 1), ("attention", 1), ("transformer", 1), ("transformer", 2)]
)
def test_every_decoder_of_any_depth_captions(name: str, depth: int, beam: int) -> None:
    """Captions end apart, so photos are dropped on the way, and what stays of them with them."""
    model, grids = toy(name, depth=depth), toy_grids(5)
    vectors = grids.mean(axis=1).astype("float32")
    settings = DecodingSettings(max_words=6, beam=beam)
    ensemble = Ensemble([steps_of(model)])

    def captions(photos: slice) -> list[tuple[int, ...]]:
        members, state = ensemble.begin(vectors[photos], grids[photos, None])

        def keep(rows: np.ndarray) -> None:
            nonlocal members
            members = ensemble.keep(members, rows)

        found = search(
            lambda words, state: ensemble.step(words, members, state),
            state,
            len(vectors[photos]),
            settings,
            keep,
        )
        return [best[0].tokens for best in found]

    together = captions(slice(0, 5))
    assert all(1 <= len(tokens) <= 6 for tokens in together)
    assert together == [captions(slice(i, i + 1))[0] for i in range(5)]  # as if alone


@pytest.mark.parametrize("name", ["attention", "transformer"])
def test_a_word_does_not_depend_on_what_follows_or_on_other_captions(name: str) -> None:
    model, grids, words = toy(name), toy_grids(2), toy_words(2, 3, 6)
    before = np.asarray(model([grids, words]))
    other = words.copy()
    other[:, 0, 4:] = 4 + (other[:, 0, 4:] - 3) % 7  # later words of the first caption
    after = np.asarray(model([grids, other]))
    np.testing.assert_allclose(after[:, 0, :4], before[:, 0, :4], atol=1e-5)
    np.testing.assert_allclose(after[:, 1:], before[:, 1:], atol=1e-5)
    assert np.abs(after[:, 0, 4:] - before[:, 0, 4:]).max() > 1e-3


@pytest.mark.parametrize("name", ["attention", "transformer"])
def test_the_photo_matters_and_its_regions_positions_too(name: str) -> None:
    model, grids, words = toy(name), toy_grids(1), toy_words(1, 1, 3)
    before = np.asarray(model([grids, words]))
    assert np.abs(np.asarray(model([grids[:, ::-1] + 1, words])) - before).max() > 1e-3


@pytest.mark.parametrize("name", ["merge", "attention", "transformer"])
def test_a_saved_decoder_computes_the_same(name: str, tmp_path: Path) -> None:
    model = toy(name)
    inputs = [toy_grids(2), toy_words(2, 2, 4)]
    if name == "merge":
        inputs = [toy_grids(2)[:, 0].astype("float32"), toy_words(2, 1, 4)[:, 0]]
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras", safe_mode=True)
    np.testing.assert_array_equal(np.asarray(again(inputs)), np.asarray(model(inputs)))


def test_photo_batches_give_each_caption_once_and_pad_what_lacks() -> None:
    captions = [[[4, 5], [6]], [[7, 8, 9]], [[4], [5], [6, 7]]]
    views = np.array([[0, 3], [1, 4], [2, 5]])
    batches = PhotoBatches(toy_grids(6), views, captions, batch_size=2, seed=1)
    assert batches.words == sum(len(t) + 1 for own in captions for t in own)
    seen = []
    for index in range(len(batches)):
        (grids, inputs), targets, weights = batches[index]
        assert inputs.shape == targets.shape == weights.shape
        assert inputs.shape[:2] == (len(grids), 3)
        for grid, rows, wanted, weight in zip(grids, inputs, targets, weights, strict=True):
            row = int(np.flatnonzero([np.array_equal(grid, g) for g in toy_grids(6)])[0]) % 3
            for tokens, target, w in zip(rows, wanted, weight, strict=True):
                if w.sum():
                    length = int(w.sum()) - 1
                    assert target[length] == END
                    assert tokens[length + 1 :].tolist() == [PADDING] * (len(tokens) - length - 1)
                    seen.append((row, tokens[1 : length + 1].tolist()))
    assert sorted(seen) == sorted((row, t) for row, own in enumerate(captions) for t in own)


def test_every_view_is_drawn_and_the_draw_is_the_epochs_own() -> None:
    views = np.arange(40).reshape(20, 2)
    grids = np.arange(40, dtype=np.float16)[:, None, None] * np.ones((1, REGIONS, SIZE), np.float16)
    batches = PhotoBatches(grids, views, [[[4, 5]]] * 20, batch_size=5, seed=1)

    def drawn(epoch: int) -> list[float]:
        batches.start_epoch(epoch)
        return [float(g[0, 0]) for i in range(len(batches)) for g in batches[i][0][0]]

    assert drawn(1) == drawn(1)
    assert {int(row) for epoch in range(12) for row in drawn(epoch)} == set(range(40))


def test_the_loss_of_photo_batches_is_the_mean_over_words() -> None:
    model = toy("transformer")
    captions = [[[4, 5], [6]], [[7, 8, 9]]]
    batches = PhotoBatches(toy_grids(2), np.array([[0], [1]]), captions, batch_size=2)
    total = 0.0
    for photo, own in enumerate(captions):
        for tokens in own:
            words = np.array([[[START, *tokens]]], "int32")
            logits = model([toy_grids(2)[photo : photo + 1], words])
            found = np.asarray(keras.ops.log_softmax(logits))[0, 0]
            total -= sum(found[i, t] for i, t in enumerate([*tokens, END]))
    assert loss_per_word(model, batches) == pytest.approx(total / batches.words, abs=1e-5)


def test_label_smoothing_is_the_cross_entropy_with_a_smoothed_target() -> None:
    logits = np.random.default_rng(1).normal(size=(2, 3, 5)).astype("float32")
    targets = np.array([[1, 2, 3], [4, 0, 1]])
    smooth = np.eye(5)[targets] * 0.9 + 0.1 / 5
    log_probabilities = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    wanted = -(smooth * log_probabilities).sum(-1).mean()
    loss = WordLoss(0.1)(targets, logits, np.ones((2, 3), "float32"))
    assert float(loss) == pytest.approx(wanted, abs=1e-5)


def test_an_ensemble_takes_the_mean_of_probabilities_of_unlike_decoders() -> None:
    models = [toy("transformer", 1), toy("attention", 2), toy("merge", 3)]
    grids = toy_grids(2)
    vectors = grids.mean(axis=1).astype("float32")
    together = Ensemble([*map(steps_of, models)])
    photo, state = together.begin(vectors, grids[:, None])
    alone = [steps_of(model) for model in models]
    begun = [m.begin(vectors if i == 2 else grids) for i, m in enumerate(alone)]
    states = [part for _, part in begun]
    for position in range(3):
        words = toy_words(2, 1, 3)[..., position]
        found, state = together.step(words, photo, state)
        every = []
        for i, member in enumerate(alone):
            own, states[i] = member.step(words, begun[i][0], states[i])
            every.append(np.exp(own))
        np.testing.assert_allclose(np.exp(found), np.mean(every, axis=0), atol=1e-5)


def test_models_of_two_encoders_read_each_its_own() -> None:
    """The second encoder has other regions, and other numbers in each; one of its models reads
    vectors."""
    first, second = toy("transformer", 1), [toy("attention", 2, 2, 9, 6), toy("merge", 3, 2, 9, 6)]
    grids, other = toy_grids(2), toy_grids(2, 9, 6)
    vectors, other_vectors = (g.mean(axis=1).astype("float32") for g in (grids, other))
    together = Ensemble([steps_of(first)], [*map(steps_of, second)])
    photo, state = together.begin(
        vectors, grids[:, None], [Seen(other_vectors, np.stack([other, other[::-1]], axis=1))]
    )
    words = np.full((2, 1), START, np.int32)
    found, _ = together.step(words, photo, state)
    every = []
    for model, read in (
        (first, grids),
        (second[0], other),
        (second[0], other[::-1]),
        (second[1], other_vectors),
    ):
        steps = steps_of(model)
        every.append(np.exp(steps.step(words, *steps.begin(read))[0]))
    np.testing.assert_allclose(np.exp(found), np.mean(every, axis=0), atol=1e-5)
    assert together.attends and together.attention.shape == (2, 1, REGIONS)  # the first encoder's
    assert not Ensemble([steps_of(second[1])], [steps_of(first)]).attends


def test_views_of_a_photo_decide_together() -> None:
    model, grids = toy("transformer"), toy_grids(6).reshape(3, 2, REGIONS, SIZE)
    together = Ensemble([steps_of(model)])
    photo, state = together.begin(np.zeros((3, SIZE), "float32"), grids)
    found, _ = together.step(np.full((3, 1), START, np.int32), photo, state)
    steps = steps_of(model)
    every = []
    for view in range(2):
        kept, before = steps.begin(grids[:, view])
        every.append(np.exp(steps.step(np.full((3, 1), START, np.int32), kept, before)[0]))
    np.testing.assert_allclose(np.exp(found), np.mean(every, axis=0), atol=1e-5)
    assert np.abs(every[0] - every[1]).max() > 1e-4
