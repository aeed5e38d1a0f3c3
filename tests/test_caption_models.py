"""The caption command and its models: damaged folders, the default, ensembles, decoding."""

import json
import shutil
from pathlib import Path

import pytest

from captioning import load
from captioning.data.prepared import read_prepared
from captioning.data.text import Tokenizer
from captioning.errors import CaptioningError
from captioning.inference.description import read_description
from captioning.inference.models import choose_model
from captioning.inference.settings import banned_tokens
from tests.conftest import Run, processor_seconds, script


@pytest.mark.parametrize("part", ["model.keras", "captioner.json"])
def test_a_folder_with_a_part_missing_or_damaged(
    model_folder: Path, odd_photos: Path, tmp_path: Path, part: str
) -> None:
    folder = tmp_path / "m"
    shutil.copytree(model_folder, folder)
    (folder / part).write_text("{")
    done = script("caption_generator.py", "--model", folder, "-i", odd_photos / "colour.png")
    assert done.returncode == 2
    assert part in done.stderr
    assert "Traceback" not in done.stderr
    (folder / part).unlink()
    done = script("caption_generator.py", "--model", folder, "-i", odd_photos / "colour.png")
    assert done.returncode == 2
    assert f"lacks {part}" in done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda about: about["words"].pop(), "a vocabulary of"),
        (lambda about: about["encoder"].update(resize="nearest"), "resize 'nearest'"),
        (lambda about: about["encoder"].update(weights="0" * 16), "fingerprint"),
        (lambda about: about["cleaning"].update(lower=False), "cleaned by"),
        (lambda about: about.pop("max_length"), "'max_length' is missing"),
    ],
)
def test_parts_that_do_not_fit_are_named(
    model_folder: Path, odd_photos: Path, tmp_path: Path, change: object, message: str
) -> None:
    folder = tmp_path / "m"
    shutil.copytree(model_folder, folder)
    about = json.loads((folder / "captioner.json").read_text())
    change(about)
    (folder / "captioner.json").write_text(json.dumps(about))
    with pytest.raises(CaptioningError, match=message):
        list(load(folder).caption([odd_photos / "colour.png"]))


def test_the_model_trained_last_is_chosen_and_the_demo_is_the_last_resort(
    model_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(CaptioningError, match="no trained model"):
        choose_model(tmp_path, tmp_path)
    years = {"demo": "2029", "flickr8k": "2028", "mine": "2025", "later": "2026"}
    for name, year in years.items():
        shutil.copytree(model_folder, tmp_path / name)
        about = json.loads((tmp_path / name / "captioner.json").read_text())
        about["trained_at"] = f"{year}-01-01T00:00:00+00:00"
        (tmp_path / name / "captioner.json").write_text(json.dumps(about))
    for name in ("later", "mine", "flickr8k", "demo"):
        assert choose_model(tmp_path, tmp_path).name == name
        shutil.rmtree(tmp_path / name)


def test_banned_words_are_suppressed_and_captions_stay_short(
    model_folder: Path, data_folder: Path
) -> None:
    captioner = load(model_folder)
    vectors = read_prepared(data_folder).features.matrix(read_prepared(data_folder).splits["test"])
    free = [captioner.decoder.text(h[0]) for h in captioner.decoder.decode(vectors, beam=3)]
    word = free[0].split()[-1]
    for beam in (1, 3):
        found = captioner.decoder.decode(vectors, beam=beam, ban=[word.upper()], max_words=4)
        captions = [captioner.decoder.text(h[0]).split() for h in found]
        assert all(word not in caption and 1 <= len(caption) <= 4 for caption in captions)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("mann", "cannot ban 'mann': the model knows no such word.*; words like it: man, many$"),
        ("xyzzy", "cannot ban 'xyzzy': the model knows no such word, so none of its captions has"),
        ("T-Shirt", "cannot ban 'T-Shirt', which is 2 words.*: t,shirt"),
    ],
)
def test_words_that_cannot_be_banned_are_refused(word: str, message: str) -> None:
    tokenizer = Tokenizer(("a", "man", "many", "shirt", "dog"))
    with pytest.raises(CaptioningError, match=message):
        banned_tokens(["dog", word], tokenizer)
    # One word alone is not a list of its letters.
    assert banned_tokens("Man", tokenizer) == banned_tokens(["man", " "], tokenizer) == {5}


def test_a_misspelt_ban_is_refused_before_the_model_is_loaded(run_caption: Run) -> None:
    code, printed, messages = run_caption("-i", "docs", "samples", "--ban", "a,quux")
    assert (code, printed) == (2, "")
    assert "cannot ban 'quux'" in messages


def test_one_path_is_one_photo(model_folder: Path, odd_photos: Path) -> None:
    captioner, photo = load(model_folder), odd_photos / "colour.png"
    (expected,) = captioner.caption([photo])
    for one in (photo, str(photo)):
        (found,) = captioner.caption(one)
        assert (found.image, found.caption) == (photo, expected.caption)


def test_several_models_and_wording_reach_the_decoder(
    run_caption: Run, grids_models: dict[str, Path], odd_photos: Path
) -> None:
    photo = odd_photos / "colour.png"
    folders = [grids_models["merge"], grids_models["transformer"]]
    both = ("--model", folders[0], "--model", folders[1])
    wording = (
        "--beam",
        3,
        "--length-penalty",
        1.5,
        "--no-repeat",
        2,
        "--max-words",
        5,
        "--views",
        2,
        "--ban",
        "a,The",
    )
    code, printed, messages = run_caption("-i", photo, *both, *wording)
    (expected,) = load(*folders).caption(
        [photo], beam=3, length_power=1.5, no_repeat=2, max_words=5, ban=["a", "the"], views=2
    )
    assert (code, printed, messages) == (0, expected.caption + "\n", "")
    assert not {"a", "the"} & set(printed.split())
    code, _, messages = run_caption("-i", photo, *both, "--attention", "a.png")
    assert code == 2
    assert "one decoder attends to" in messages


def test_a_greedy_model_keeps_to_few_words_by_a_beam(
    run_caption: Run, model_folder: Path, odd_photos: Path
) -> None:
    assert read_description(model_folder)["decoding"].get("beam", 1) == 1
    photo = odd_photos / "colour.png"
    expected = {
        beam: next(load(model_folder).caption([photo], beam=beam, max_words=3)).caption
        for beam in (1, 5)
    }
    assert expected[1] != expected[5]
    few = ("-i", photo, "--max-words", 3)
    assert run_caption(*few)[1] == expected[5] + "\n"
    assert run_caption(*few, "--beam", 1)[1] == expected[1] + "\n"


def test_models_of_other_vocabularies_are_refused_at_once(
    model_folder: Path, odd_photos: Path, tmp_path: Path
) -> None:
    shutil.copytree(model_folder, tmp_path / "other")
    about = json.loads((model_folder / "captioner.json").read_text())
    about["words"].append("more")
    (tmp_path / "other" / "captioner.json").write_text(json.dumps(about))
    began = processor_seconds()
    done = script(
        "caption_generator.py",
        "-i",
        odd_photos,
        "--model",
        model_folder,
        "--model",
        tmp_path / "other",
    )
    assert processor_seconds() - began < 1.5
    assert done.returncode == 2
    assert "another vocabulary" in done.stderr
