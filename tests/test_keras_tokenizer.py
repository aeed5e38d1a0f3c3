"""Tokenizers of other projects: every module, protocol and form that they were saved in."""

import json
import os
import pickle
from pathlib import Path

import pytest

from captioning.data.keras_tokenizer import KerasTokenizer, read_keras_tokenizer
from captioning.data.prepared import read_tokenizer
from captioning.errors import CaptioningError
from tests.old_pickles import MODULES, attributes, pickled_tokenizer, python_2_tokenizer

CAPTIONS = ["startseq a dog runs endseq", "startseq a cat sits at the end endseq"]
INDEX = ["startseq", "a", "endseq", "dog", "runs", "cat", "sits", "at", "the", "end"]


@pytest.fixture
def read(tmp_path: Path):
    """Reads a tokenizer of that content."""

    def read(content: bytes, name: str = "tokenizer.p") -> KerasTokenizer:
        (tmp_path / name).write_bytes(content)
        return read_keras_tokenizer(tmp_path / name)

    return read


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("module", MODULES)
def test_a_tokenizer_of_every_module_and_protocol_is_read(module, protocol, read, tmp_path) -> None:
    found = read(pickled_tokenizer(module, protocol, attributes(CAPTIONS)))
    assert found.word_index == {word: number for number, word in enumerate(INDEX, 1)}
    assert found.markers == ("startseq", "endseq")
    assert found.captions == 2
    assert found.counts["a"] == 2
    assert found.encode("Startseq a DOG, sits.") == [1, 2, 4, 7]
    # Training takes its vocabulary over.
    assert read_tokenizer(tmp_path / "tokenizer.p").words == tuple(
        word for word in INDEX if word not in ("startseq", "endseq")
    )


@pytest.mark.parametrize("protocol", [0, 2])
def test_a_tokenizer_of_python_2_is_read(protocol, read) -> None:
    index = {"start": 1, "end": 2, "café": 3}
    found = read(python_2_tokenizer(index, protocol))
    assert found.word_index == index
    assert found.markers == ("start", "end")
    assert found.oov_token is None


def test_tokenizers_as_json_are_read(read) -> None:
    state = attributes(CAPTIONS)
    # As Tokenizer.to_json() does: maps are texts of JSON.
    maps = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
    config = {k: json.dumps(v) if k in maps else v for k, v in state.items() if k != "analyzer"}
    text = json.dumps({"class_name": "Tokenizer", "config": config})
    expected = read(pickled_tokenizer(MODULES[0], 4, state))
    assert read(text.encode(), "tokenizer.json") == expected
    assert read(json.dumps(text).encode(), "twice.json") == expected  # json.dump(to_json(), file)
    assert read(json.dumps(state["word_index"]).encode(), "words.json").word_index["a"] == 2
    assert read(pickle.dumps(state["word_index"]), "words.pkl").word_index["a"] == 2


def test_maps_of_both_directions_are_read(read) -> None:
    words = {"startseq": 1, "a": 2, "dog": 3, "endseq": 4}
    numbers = {number: word for word, number in words.items()}  # ixtoword.pkl
    for value in (words, numbers):
        assert read(pickle.dumps(value)).word_index == words
    with pytest.raises(CaptioningError, match="maps 1 to 'a', which is no number"):
        read(pickle.dumps({1: "a", 2: "a"}))


def test_a_tokenizer_beside_the_length_of_captions_is_read(read) -> None:
    made = pickled_tokenizer(MODULES[0], 2, attributes(CAPTIONS))
    both = made[:-1] + b"K\x22\x86."  # the tokenizer, 34, a tuple of the two
    assert read(both).word_index == attributes(CAPTIONS)["word_index"]


def test_unknown_and_rare_words_as_keras_does(read) -> None:
    def numbers(text: str, **own: object) -> list[int]:
        return read(pickled_tokenizer(MODULES[1], 2, attributes(CAPTIONS, **own))).encode(text)

    assert numbers("a bird runs") == [2, 5]
    assert numbers("a bird runs", num_words=4) == [2]
    assert numbers("a bird runs", num_words=0) == [2, 5]
    assert numbers("a bird runs", oov_token="<unk>") == [3, 1, 6]
    assert numbers("a dog runs", oov_token="<unk>", num_words=5) == [3, 1, 1]
    assert numbers("A-dog runs", filters="", lower=False) == [5]
    assert numbers("a|dog|runs", filters="", split="|") == [2, 4, 5]


@pytest.mark.parametrize(
    ("captions", "markers"),
    [
        (["start a dog end", "start the start of a race end"], ("start", "end")),
        (
            ["startseq the start of a race endseq", "startseq the end endseq"],
            ("startseq", "endseq"),
        ),
        (["<start> a dog <end>"], ("<start>", "<end>")),
        (["<sos> a dog <eos>"], ("<sos>", "<eos>")),
        (["ssss a dog eeee"], ("ssss", "eeee")),
        (["beginsequence a dog endsequence"], ("beginsequence", "endsequence")),
        (["sostok a dog eostok"], ("sostok", "eostok")),
        (["a dog", "a cat", "the start of a race", "the end of a day", "a bird"], None),
        (["a dog"], None),
    ],
)
def test_markers_are_told_from_words(captions, markers, read) -> None:
    assert read(pickled_tokenizer(MODULES[0], 0, attributes(captions))).markers == markers


def test_a_vocabulary_leaves_out_what_is_cut_off(read) -> None:
    state = attributes(CAPTIONS, oov_token="<oov>", num_words=6)
    assert read(pickled_tokenizer(MODULES[4], 5, state)).vocabulary == ["a", "dog"]


class Attack:
    def __reduce__(self) -> tuple:
        return os.system, ("touch it-ran",)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (attributes(CAPTIONS, analyzer=Attack()), "wants to run"),
        (attributes(CAPTIONS, word_index={"a": "b"}), "maps 'a' to 'b'"),
        (attributes(CAPTIONS, word_index={"a": 1, "b": 1}), "same number"),
        (attributes(CAPTIONS, word_index=None), "holds no tokenizer"),
        (attributes(CAPTIONS, num_words="many"), "num_words"),
        (attributes(CAPTIONS, char_level=True), "characters"),
    ],
)
def test_what_is_no_tokenizer_is_refused_with_the_reason(state, message, read, tmp_path) -> None:
    with pytest.raises(CaptioningError, match=message) as refused:
        read(pickled_tokenizer(MODULES[0], 4, state))
    assert str(tmp_path / "tokenizer.p") in str(refused.value)
    assert not Path("it-ran").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"config": {"word_index": "{"}}',
        b'{"class_name": "Tokenizer", "config": {}}',
        b"ckeras.preprocessing.text\nTokenizer\n.",
        b"ckeras.preprocessing.text\nTokenizer\n}b.",
        b"ckeras.preprocessing.text\nTokenizer\n)\x81.",
        b"ckeras.preprocessing.text\nTokenizer\n)\x81Nb.",
        b"cnumpy\nndarray\n)\x81.",
        b"ccopy_reg\n_reconstructor\n(cnumpy\nndarray\nc__builtin__\nobject\nNtR.",
        b"ccollections\nOrderedDict\n(K\x01tR.",
        b"ckeras.preprocessing.text\ntokenizer_from_json\n(U\x01xtR.",
        b"ckeras.preprocessing.text.os\nsystem\n(U\x01xtR.",
    ],
)
def test_damaged_and_hostile_tokenizers_are_refused(content, read) -> None:
    with pytest.raises(CaptioningError, match="tokenizer"):
        read(content)
