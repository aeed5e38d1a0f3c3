"""The critic: its training, its file, and how it chooses among a beam's captions."""

import csv
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from captioning.data.prepared import read_prepared
from captioning.errors import CaptioningError
from captioning.inference.choosing import Judges
from captioning.inference.critic import CRITIC, TYPES, Critic, read_critic, write_critic
from captioning.inference.loading import load
from captioning.inference.search import Hypothesis
from captioning.inference.settings import DecodingSettings
from captioning.inference.trained_on import trained_on
from captioning.training.critic import ContrastiveLoss, CriticSettings, build_critic, weights_of
from captioning.training.critic_weight import choose_weight
from captioning.training.rewards import CiderAndCriticRewards, CiderRewards

D, V = 12, 9
"""Numbers of a vector, and tokens."""

PHOTOS = np.random.default_rng(0).normal(2, 3, (30, D)).astype(np.float32)


def knowing_critic() -> Critic:
    """Sees of a photo which of its numbers is largest, and wants the token of that place."""
    one = np.eye(D, dtype=np.float16)
    words = np.concatenate([np.zeros((4, D)), np.eye(D)]).astype(np.float16)
    nothing = np.zeros(D, np.float32)
    return Critic(nothing, np.ones(D, np.float32), one, nothing, one, nothing, words, nothing)


def test_cosines_are_those_of_the_network() -> None:
    settings = CriticSettings(width=10, size=6)
    model = build_critic(PHOTOS, V, settings)
    captions = [[4, 5, 6], [7], [8, 8, 4]]
    tokens = np.array([[4, 5, 6, 0], [7, 0, 0, 0], [8, 8, 4, 0]])
    both = np.asarray(model([PHOTOS[:3], tokens]))  # (3, 2 * size)
    critic = weights_of(model)
    np.testing.assert_allclose(critic.photos(PHOTOS[:3]), both[:, :6], atol=2e-3)
    np.testing.assert_allclose(critic.captions(captions), both[:, 6:], atol=2e-3)
    cosines = critic.cosines(PHOTOS[:3], [captions, captions[1:], captions[:1]])
    assert [len(own) for own in cosines] == [3, 2, 1]
    np.testing.assert_allclose(cosines[1], both[1:, 6:] @ both[1, :6], atol=4e-3)


def test_the_order_of_words_and_padding_make_no_difference() -> None:
    model = build_critic(PHOTOS, V, CriticSettings(width=10, size=6))
    rows = [[4, 5, 6, 0, 0], [6, 4, 5, 0, 0], [0, 0, 0, 0, 0]]
    one, other, empty = np.asarray(model([PHOTOS[:3], np.array(rows)]))[:, 6:]
    np.testing.assert_allclose(one, other, atol=1e-6)
    np.testing.assert_allclose(weights_of(model).captions([()])[0], empty, atol=2e-3)


def test_the_loss_of_two_pairs_by_hand() -> None:
    seen, read = np.eye(2, dtype=np.float32), np.array([[1, 0], [0.6, 0.8]], np.float32)
    loss = ContrastiveLoss(sharpness=5)
    got = np.asarray(loss.call(np.array([3, 7]), np.concatenate([seen, read], axis=1)))
    scores = 5 * seen @ read.T

    def cross_entropy(row: np.ndarray, own: int) -> float:
        return float(np.log(np.exp(row).sum()) - row[own])

    wanted = [(cross_entropy(scores[i], i) + cross_entropy(scores[:, i], i)) / 2 for i in range(2)]
    np.testing.assert_allclose(got, wanted, rtol=1e-5)
    # Another caption of the same photo counts neither way.
    same = np.asarray(loss.call(np.array([3, 3]), np.concatenate([seen, read], axis=1)))
    np.testing.assert_allclose(same, 0, atol=1e-5)


def test_the_best_sum_comes_first_and_without_weight_the_beam_s_order_stays() -> None:
    vectors = np.eye(D, dtype=np.float32)[[1, 2]]
    found = [[Hypothesis((4,), -1.0), Hypothesis((5,), -1.5), Hypothesis((6,), -2.0)]] * 2

    def chosen(weight: float) -> list[list[Hypothesis]]:
        settings = DecodingSettings(max_words=9, beam=3, critic=weight)
        return Judges(knowing_critic()).choose(found, [vectors], settings, str)

    def first(weight: float) -> list[int]:
        return [own[0].tokens[0] for own in chosen(weight)]

    assert first(0.2) == [4, 4] and first(0.3) == [5, 4] and first(0.6) == [5, 6]
    assert chosen(0) == found
    assert [h.tokens[0] for h in chosen(0.6)[1]] == [6, 4, 5]
    # A length power other than 1 orders a beam otherwise than the mean log-probability does.
    turned = [own[::-1] for own in found]
    settings = DecodingSettings(max_words=9, beam=3, length_power=0.7)
    assert Judges(knowing_critic()).choose(turned, [vectors], settings, str) == turned
    assert Judges().choose(turned, [vectors], settings, str) == turned


def test_the_weight_is_that_with_the_best_cider() -> None:
    vectors = np.eye(D, dtype=np.float32)[np.arange(10) % 5]
    found = [[Hypothesis((4,), -1.0), Hypothesis((4 + place % 5,), -1.7)] for place in range(10)]
    ciders = [{h.tokens: 10.0 * (h.tokens[0] == 4 + p % 5) for h in f} for p, f in enumerate(found)]
    choice = choose_weight(found, vectors, knowing_critic(), ciders)
    # A mean of two tokens: 0.35 is missing, so of the weights 0.5 is the first to do.
    assert choice.weight == 0.5
    assert choice.alone == choice.ciders[0.0] == 2.0
    assert choice.in_folds == choice.ciders[0.5] == choice.best_of_beam == 10.0
    worse = [
        {h.tokens: -value for h, value in zip(f, own.values(), strict=False)}
        for f, own in zip(found, ciders, strict=True)
    ]
    assert choose_weight(found, vectors, knowing_critic(), worse).weight == 0.0


def arrays_of(critic: Critic) -> dict[str, np.ndarray]:
    return {name: getattr(critic, name).astype(kind) for name, kind in TYPES.items()}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"words": np.zeros((8, D), np.float16)}, "vocabulary of 16 tokens"),
        ({"mean": np.zeros(D + 1, np.float32)}, "vectors of 12 numbers"),
        ({"scale": np.zeros(D, np.float32)}, "not above 0"),
        ({"photo_bias": np.full(D, np.nan, np.float32)}, "not finite"),
        ({"hidden": np.array([{}], object)}, "type"),
        ({"more": np.zeros(3)}, "it holds"),
    ],
)
def test_a_file_of_another_model_or_damaged_is_refused(
    changed: dict[str, np.ndarray], reason: str, tmp_path: Path
) -> None:
    np.savez_compressed(tmp_path / CRITIC, **{**arrays_of(knowing_critic()), **changed})
    with pytest.raises(CaptioningError, match=rf"cannot read .*critic\.npz: .*{reason}"):
        read_critic(tmp_path, D, D + 4)
    (tmp_path / CRITIC).write_bytes(b"no zip")
    with pytest.raises(CaptioningError, match="remove it to caption without it"):
        read_critic(tmp_path, D, D + 4)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read_critic(tmp_path, D, D + 4) is None
    write_critic(tmp_path, knowing_critic())
    found = read_critic(tmp_path, D, D + 4)
    assert found is not None
    for name, values in arrays_of(knowing_critic()).items():
        np.testing.assert_array_equal(getattr(found, name), values)


@pytest.fixture(scope="module")
def judged_model(
    model_folder: Path, data_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The toy model with a critic, trained by the command."""
    folder = tmp_path_factory.mktemp("judged") / "toy"
    shutil.copytree(model_folder, folder)
    assert train(folder, data_folder) == 0
    return folder


def train(folder: Path, data: Path, *more: object) -> int:
    """`train.py --critic` in this process: its exit code."""
    options = ["--data", data, "--critic", folder, "--epochs", 30, "--batch-size", 64, *more]
    return run_train(*options)


def run_train(*arguments: object) -> int:
    """`train.py` in this process: its exit code."""
    from captioning.commands import train as command
    from captioning.commands.run import run_main

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run_main(command.main)
    return int(ended.value.code or 0)


def test_training_adds_a_critic_that_knows_captions_from_others(
    judged_model: Path, model_folder: Path, data_folder: Path
) -> None:
    description = json.loads((judged_model / "captioner.json").read_text())
    assert description["decoding"]["beam"] == 8 and "critic" in description["decoding"]
    dev = description["critic"]["dev"]
    assert dev["ciders"][str(dev["weight"])] >= dev["alone"]
    assert dev["best_of_beam"] >= dev["in_folds"]

    captioner, prepared = load(judged_model), read_prepared(data_folder)
    critic = read_critic(
        judged_model, captioner.trained_model.encoder["vector_size"], prepared.tokenizer.size
    )
    assert critic is not None
    names, photos, captions = prepared.encoded("dev")
    seen, read = critic.photos(prepared.features.matrix(names)), critic.captions(captions)
    cosines = seen @ read.T  # (photos, captions)
    own = cosines[np.array(photos), np.arange(len(captions))]
    assert own.mean() > cosines.mean() + 0.2  # photos that it never saw
    assert trained_on(judged_model, prepared.splits["train"]) == set(prepared.splits["train"])


def test_the_captioner_follows_the_critic(judged_model: Path, data_folder: Path) -> None:
    captioner, prepared = load(judged_model), read_prepared(data_folder)
    vectors = prepared.features.matrix(prepared.splits["dev"])
    decode = captioner.decoder.decode
    plain = decode(vectors, beam=8, critic=0.0)
    chosen = decode(vectors, beam=8, critic=50.0)
    assert [{h.tokens for h in own} for own in plain] == [{h.tokens for h in own} for own in chosen]
    assert [own[0] for own in plain] != [own[0] for own in chosen]
    settings = captioner.decoder.settings(critic=2.0)
    assert str(settings).endswith(", critic 2.0")


def test_a_model_without_critic_says_how_to_get_one(
    model_folder: Path, run_caption, odd_photos: Path
) -> None:
    photo = odd_photos / "colour.png"
    code, _, messages = run_caption("-i", photo, "--beam", 3, "--critic", 1)
    assert code == 2 and "has no critic" in messages and "--critic" in messages
    code, _, messages = run_caption("-i", photo, "--critic", 1)
    assert code == 2 and "give --beam too" in messages
    code, _, messages = run_caption("-i", photo, "--beam", 3, "--critic", -1)
    assert code == 2 and "--critic -1.0 is not from 0 to 100" in messages


def test_options_and_data_that_do_not_fit_are_refused(
    judged_model: Path, data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    before = (judged_model / CRITIC).read_bytes()
    assert train(judged_model, data_folder, "--depth", 2) == 2
    assert "--depth has no meaning for --critic" in capsys.readouterr().err
    other = tmp_path / "other"
    shutil.copytree(data_folder, other)
    from captioning.files.pickles import write_pickle

    write_pickle(other / "tokenizer.p", {"dog": 4, "cat": 5})
    assert train(judged_model, other) == 2
    assert "another vocabulary" in capsys.readouterr().err
    assert (judged_model / CRITIC).read_bytes() == before


def test_a_reward_beside_cider_is_the_critics_cosine(data_folder: Path, judged_model: Path) -> None:
    prepared = read_prepared(data_folder)
    names = prepared.splits["train"]
    vectors = prepared.features.matrix(names)
    critic = read_critic(judged_model, vectors.shape[1], prepared.tokenizer.size)
    assert critic is not None
    cider = CiderRewards(prepared, names, 20)
    both = CiderAndCriticRewards(cider, critic, vectors, 3.0)
    own, other = (prepared.tokenizer.encode(prepared.captions[name][0]) for name in names[:2])
    ((fits, doesnt),) = critic.cosines(vectors[:1], [[own, other]])
    assert fits > doesnt
    assert both.of(0, own) == pytest.approx(cider.of(0, own) + 3 * fits, abs=1e-5)
    assert both.of(0, other) == pytest.approx(cider.of(0, other) + 3 * doesnt, abs=1e-5)


def test_finetuning_with_the_critics_reward(
    data_folder: Path,
    judged_model: Path,
    model_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["--data", data_folder, "--finetune", "cider", "--epochs", 1, "--critic-reward"]
    rewards = []
    for weight in (0, 50):
        folder = tmp_path / str(weight)
        assert run_train(*options, weight, "--initial", judged_model, "--output", folder) == 0
        with (folder / "history.csv").open(encoding="utf-8") as file:
            (row,) = csv.DictReader(file)
        rewards.append(float(row["reward"]))
    # A cosine is 1 at the most, and CIDEr 10; rewards are told times 100.
    assert rewards[0] + 100 < rewards[1] < rewards[0] + 5000
    told = json.loads((tmp_path / "50" / "captioner.json").read_text())
    assert told["training"]["settings"]["critic_reward"] == 50
    # What is trained further decodes as before, with the critic that was there.
    before = json.loads((judged_model / "captioner.json").read_text())
    assert told["decoding"] == before["decoding"] and told["decoding"]["critic"] > 0
    assert (tmp_path / "50" / CRITIC).read_bytes() == (judged_model / CRITIC).read_bytes()
    assert told["max_length"] >= before["max_length"]
    output = ["--output", tmp_path / "none"]
    assert run_train(*options, 1, "--initial", model_folder, *output) == 2
    assert f"--critic {model_folder}" in capsys.readouterr().err
    assert run_train(*options, -1, "--initial", judged_model, *output) == 2
    assert "--critic-reward -1.0 is not a number from 0 on" in capsys.readouterr().err


def test_a_model_with_a_critic_is_exported(
    judged_model: Path, scenes_folder: Path, tmp_path: Path
) -> None:
    from captioning.commands.export import main

    folder = tmp_path / "judged"
    shutil.copytree(judged_model, folder)
    about = json.loads((folder / "captioner.json").read_text())
    # Of a beam it takes others than the likeliest, as the graphs alone would.
    about["decoding"] = {"beam": 5, "length_power": 0.7, "critic": 9.0}
    (folder / "captioner.json").write_text(json.dumps(about))
    photos = sorted((scenes_folder / "Flicker8k_Dataset").iterdir())[:6]
    judged = [one.caption for one in load(folder).caption(photos)]
    alone = [one.caption for one in load(folder).caption(photos, critic=0)]
    assert judged != alone
    assert main([str(folder), "-i", *map(str, photos)]) == 0
    assert [one.caption for one in load(folder, runtime="onnx").caption(photos)] == judged
