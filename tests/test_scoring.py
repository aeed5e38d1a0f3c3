"""Scores of known captions, and what is refused."""

import math
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pycocoevalcap.bleu.bleu import Bleu

from captioning.data.cider import CiderD
from captioning.errors import CaptioningError
from captioning.evaluation import scores as scores_module
from captioning.evaluation.meteor import has_java
from captioning.evaluation.scores import score_captions

REFERENCES = {
    "a.jpg": ["a dog runs on the grass", "the brown dog is running fast"],
    "b.jpg": ["two children play", "two kids are playing in the sand"],
}


def test_bleu_counts_words_with_the_closest_reference_length() -> None:
    captions = {"a.jpg": "a dog runs on grass", "b.jpg": "two children play in the sand"}
    scores = score_captions(captions, REFERENCES).corpus
    # a.jpg: 5 of 5 words, b.jpg: 6 of 6; lengths 5+6 against the closest references 6+7.
    assert scores["BLEU-1"] == pytest.approx(100 * math.exp(1 - 13 / 11), abs=1e-3)
    # pairs: a dog, dog runs, runs on; two children, children play, in the, the sand: 7 of 9
    wanted = 100 * math.exp(1 - 13 / 11) * math.sqrt(7 / 9)
    assert scores["BLEU-2"] == pytest.approx(wanted, abs=1e-3)


def test_a_perfect_caption_scores_full_marks_whatever_its_punctuation() -> None:
    captions = {"a.jpg": "A dog runs on the grass .", "b.jpg": "two kids are playing in the sand"}
    scores = score_captions(captions, REFERENCES)
    assert scores.corpus["BLEU-4"] == pytest.approx(100, abs=1e-4)
    assert scores.corpus["ROUGE-L"] == pytest.approx(100, abs=1e-4)
    assert set(scores.cider) == {"a.jpg", "b.jpg"}


@pytest.mark.parametrize(
    ("captions", "message"),
    [
        ({"a.jpg": "<start> a dog"}, "marker '<start>'"),
        ({"a.jpg": "a dog endseq"}, "marker 'endseq'"),
        ({"a.jpg": "a dog <end>."}, "marker '<end>'"),
        ({"a.jpg": "<start>a dog"}, "marker '<start>'"),
        ({"a.jpg": "a <UNK> dog"}, "marker '<UNK>'"),
        ({"a.jpg": "a dog EndSeq"}, "marker 'EndSeq'"),
        ({"a.jpg": "<s> a dog </s>"}, "marker '<s>'"),
        ({"a.jpg": "a dog [SEP]"}, r"marker '\[SEP\]'"),
        ({"a.jpg": " . "}, "caption of a.jpg is empty"),
        ({"c.jpg": "a dog"}, "c.jpg has no reference"),
        ({}, "no captions"),
    ],
)
def test_what_cannot_be_scored_is_refused(captions: dict, message: str) -> None:
    with pytest.raises(CaptioningError, match=message):
        score_captions(captions, REFERENCES)


def test_words_that_only_look_like_markers_are_words() -> None:
    captions = {"a.jpg": "the end of a start", "b.jpg": "a sequence, i.e. 3 < 4"}
    assert score_captions(captions, REFERENCES).corpus["BLEU-1"] > 0


def test_references_without_a_word_do_not_count() -> None:
    with pytest.raises(CaptioningError, match="a.jpg has no reference"):
        score_captions({"a.jpg": "a dog"}, {"a.jpg": ["", " . "]})
    captions = {"a.jpg": "a dog runs on grass", "b.jpg": "two kids"}
    with_empty = {name: [*rows, "..."] for name, rows in REFERENCES.items()}
    assert (
        score_captions(captions, with_empty).corpus == score_captions(captions, REFERENCES).corpus
    )


KNOWN = {
    "a.jpg": ["a dog runs on the grass", "the brown dog is running fast on green grass"],
    "b.jpg": ["two children play in the sand", "two kids are playing in the sand"],
    "c.jpg": ["a man in a red shirt rides a bike", "a cyclist rides down the road"],
}
CAPTIONS = {
    "a.jpg": "a brown dog runs on the green grass",
    "b.jpg": "two children are playing in the sand",
    "c.jpg": "a man in a blue shirt rides a bike on the road",
}


def test_scores_of_known_captions_to_four_digits() -> None:
    scores = score_captions(CAPTIONS, KNOWN)
    wanted = {
        "BLEU-1": 92.5926,
        "BLEU-2": 80.9854,
        "BLEU-3": 65.5057,
        "BLEU-4": 52.8608,
        "ROUGE-L": 83.9667,
        "CIDEr": 376.4688,
    }
    assert {name: round(scores.corpus[name], 4) for name in wanted} == wanted
    # By hand: 8 + 7 + 12 words in the captions, 8 + 7 + 10 of them in a reference; the closest
    # references have 9 + 7 + 9 words, so there is no brevity penalty.
    assert scores.corpus["BLEU-1"] == pytest.approx(100 * 25 / 27, abs=1e-4)
    names = list(CAPTIONS)
    ours = CiderD([[row.split() for row in KNOWN[name]] for name in names])
    own = [100 * ours.score(place, CAPTIONS[name].split()) for place, name in enumerate(names)]
    assert [scores.cider[name] for name in names] == pytest.approx(own, abs=1e-4)
    assert scores.corpus["CIDEr"] == pytest.approx(np.mean(own), abs=1e-4)


def test_a_resample_scores_like_copies_of_its_photos() -> None:
    scores = score_captions(CAPTIONS, KNOWN)
    drawn = np.array([[2, 0, 1], [0, 3, 0], [1, 1, 1]])
    found = scores._resampled(drawn)
    for row, counts in enumerate(drawn):
        copies = {
            f"{name} {i}": name for name, n in zip(CAPTIONS, counts, strict=True) for i in range(n)
        }
        bleu, _ = Bleu(4).compute_score(
            {copy: KNOWN[name] for copy, name in copies.items()},
            {copy: [CAPTIONS[name]] for copy, name in copies.items()},
            verbose=0,
        )
        assert [found[f"BLEU-{n}"][row] for n in range(1, 5)] == pytest.approx(
            [100 * value for value in bleu], abs=1e-4
        )
        own = [scores.cider[name] for name in copies.values()]
        assert found["CIDEr"][row] == pytest.approx(np.mean(own))


@pytest.fixture
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a fake `java`, a shell script, first on the path."""

    def make(lines: str) -> None:
        program = tmp_path / "java"
        program.write_text(f"#!/bin/sh\n{lines}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return make


@pytest.mark.skipif(os.name == "nt", reason="the fake java is a shell script")
def test_a_java_that_does_not_run_does_not_count(
    java: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    java("exit 0")
    assert has_java()
    java("echo no Java runtime, get one; exit 1")
    assert not has_java()
    scores = score_captions(CAPTIONS, KNOWN, meteor=True)
    assert "it needs Java" in scores.left_out["METEOR"]
    monkeypatch.setenv("PATH", "")
    assert not has_java()


@pytest.mark.skipif(os.name == "nt", reason="the fake java is a shell script")
@pytest.mark.parametrize("after", ["exit 3", "while read -r _; do echo nonsense; done"])
def test_a_failing_meteor_is_reported_and_does_not_hang(java: Callable, after: str) -> None:
    java(f'[ "$1" = -version ] && exit 0; {after}')
    scores = score_captions(CAPTIONS, KNOWN, meteor=True)
    assert "its Java program failed" in scores.left_out["METEOR"]
    assert scores.corpus == score_captions(CAPTIONS, KNOWN).corpus


@pytest.mark.skipif(not has_java(), reason="METEOR needs Java")
@pytest.mark.parametrize(
    ("variable", "language"),
    [("JAVA_TOOL_OPTIONS", "ar-EG"), ("_JAVA_OPTIONS", "de-DE")],
)
def test_meteor_is_the_same_in_every_language_of_the_system(
    monkeypatch: pytest.MonkeyPatch, variable: str, language: str
) -> None:
    monkeypatch.delenv("JAVA_TOOL_OPTIONS", raising=False)
    code, _, country = language.partition("-")
    options = f"-Duser.language={code} -Duser.country={country} -Dfile.encoding=US-ASCII"
    monkeypatch.setenv(variable, options)
    scores = score_captions(CAPTIONS, KNOWN, meteor=True)
    assert scores.left_out == {}
    assert scores.corpus["METEOR"] == pytest.approx(48.6482, abs=1e-4)
    assert os.environ[variable] == options


@pytest.mark.parametrize(
    ("part", "lost"),
    [
        ("count_ngrams", {"BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4"}),
        ("compute_rouge", {"ROUGE-L"}),
        ("compute_cider", {"CIDEr"}),
        ("compute_meteor", {"METEOR"}),
    ],
)
@pytest.mark.parametrize("fault", [ZeroDivisionError("x"), OSError("y")])
def test_a_scorer_that_fails_takes_no_other_score_along(
    monkeypatch: pytest.MonkeyPatch, part: str, lost: set, fault: Exception
) -> None:
    monkeypatch.setattr(scores_module, "compute_meteor", lambda *_: (0.5, np.full(3, 0.5)))
    whole = score_captions(CAPTIONS, KNOWN, meteor=True)

    def fail(*_: object) -> None:
        raise fault

    monkeypatch.setattr(scores_module, part, fail)
    scores = score_captions(CAPTIONS, KNOWN, meteor=True)
    assert scores.corpus == {n: v for n, v in whole.corpus.items() if n not in lost}
    assert scores.intervals().keys() == scores.corpus.keys()
    assert whole.minus(scores).keys() == scores.corpus.keys()
    (reason,) = scores.left_out.values()
    assert f"its scorer failed ({type(fault).__name__}" in reason


def test_a_score_that_is_no_number_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    nan = float("nan")
    monkeypatch.setattr(scores_module, "compute_rouge", lambda *_: (nan, np.full(3, nan)))
    scores = score_captions(CAPTIONS, KNOWN)
    assert "not a number" in scores.left_out["ROUGE-L"]
    assert "CIDEr" in scores.corpus


def test_cider_is_left_out_where_it_is_not_defined() -> None:
    """By pycocoevalcap it is 0 for a single photo, whatever its caption."""
    perfect = {"a.jpg": "a dog runs"}
    scores = score_captions(perfect, {"a.jpg": ["a dog runs"]})
    assert scores.corpus["BLEU-1"] == pytest.approx(100)
    assert "CIDEr" not in scores.corpus
    assert "CIDEr" not in scores.intervals()
    assert "not defined for one photo" in scores.left_out["CIDEr"]
    assert scores.cider == {}
    same = {name: ["a dog runs"] for name in ("a.jpg", "b.jpg")}
    assert "CIDEr" in score_captions(perfect | {"b.jpg": "a dog runs"}, same).left_out
    differ = same | {"b.jpg": ["runs a dog"]}
    assert score_captions(perfect | {"b.jpg": "a dog runs"}, differ).corpus["CIDEr"] > 0


def test_where_every_scorer_fails_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("count_ngrams", "compute_rouge", "compute_cider"):
        monkeypatch.setattr(scores_module, part, lambda *_: 1 / 0)
    with pytest.raises(CaptioningError, match=r"no score could be computed \(BLEU: .*CIDEr: "):
        score_captions(CAPTIONS, KNOWN)


@pytest.mark.skipif(os.name == "nt", reason="the fake java is a shell script")
def test_an_interrupted_meteor_ends(java: Callable) -> None:
    java('[ "$1" = -version ] && exit 0; exec sleep 60')
    before = signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with pytest.raises(KeyboardInterrupt):
            score_captions(CAPTIONS, KNOWN, meteor=True)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
