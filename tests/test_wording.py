"""What becomes of a caption's words: sentences, limits, templates, decorative pictures."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.errors import CaptioningError
from captioning.inference.captioner import Caption
from captioning.output.wording import FIELDS, Wording, as_sentence

PHOTO = Path("holiday") / "IMG 1.jpg"

BEST = [
    ("a man in a red shirt is standing on the rocks", -0.4),
    ("a man is standing on the rocks", -0.5),
    ("a man stands on rocks", -0.6),
]


def caption(best: list[tuple[str, float]] = BEST, familiar: float | None = 0.5) -> Caption:
    return Caption(PHOTO, *best[0], best, familiar=familiar)


def test_nothing_asked_for_changes_nothing() -> None:
    said, was_cut = Wording().apply(caption(), top=3)
    assert (said, was_cut) == (caption(), False)
    assert Wording().apply(caption(), top=2)[0].best == BEST[:2]
    failed = Caption(PHOTO, error="no image")
    assert Wording(sentence=True, max_characters=3).apply(failed) == (failed, False)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("a dog runs", "A dog runs."),
        ("élan", "Élan."),
        ("2 dogs", "2 dogs."),
        ("Is it?", "Is it?"),
        ("a dog runs in…", "A dog runs in…"),
        ("", ""),
    ],
)
def test_a_sentence_has_a_capital_and_an_end(words: str, sentence: str) -> None:
    assert as_sentence(words) == sentence


def test_the_likeliest_that_is_short_enough_is_chosen_with_its_score() -> None:
    said, was_cut = Wording(max_characters=30).apply(caption(), top=3)
    assert (said.caption, said.score, was_cut) == (*BEST[1], False)
    assert said.best == BEST[1:]
    # The full stop counts, and so does the template.
    assert Wording(max_characters=30, sentence=True).apply(caption())[0].score == -0.6
    with_folder = Wording(max_characters=31, template="{folder}: {caption}")
    assert with_folder.apply(caption())[0].caption == "holiday: a man stands on rocks"


def test_where_none_is_short_enough_the_shortest_is_cut_at_a_word() -> None:
    said, was_cut = Wording(max_characters=20).apply(caption())
    assert was_cut
    assert (said.caption, said.score) == ("a man stands…", -0.6)  # not "a man stands on…"
    said, _ = Wording(max_characters=20, sentence=True).apply(caption())
    assert said.caption == "A man stands…"
    said, was_cut = Wording(max_characters=3).apply(caption())
    assert said.error == "not a word of its caption fits into 3 characters"
    long_folder = Wording(max_characters=20, template="{path} {path} {caption}")
    assert "fits into 20" in long_folder.apply(caption())[0].error


@given(
    st.lists(st.text("abcdefg", min_size=1, max_size=9), min_size=1, max_size=12),
    st.integers(1, 60),
    st.booleans(),
)
def test_no_text_is_longer_than_asked_for_nor_ends_within_a_word(
    words: list[str], limit: int, sentence: bool
) -> None:
    text = " ".join(words)
    wording = Wording(max_characters=limit, sentence=sentence)
    said, was_cut = wording.apply(Caption(PHOTO, text, -1.0, [(text, -1.0)]))
    if said.error:
        assert len(words) == 1 or len(words[0]) + 1 > limit or words[0] in ("a", "as", "by")
        return
    assert len(said.caption) <= limit
    kept = said.caption.rstrip("….").lower().split()
    assert kept == words[: len(kept)]
    assert was_cut == (len(kept) < len(words))


def test_neutral_words_come_before_all_else_and_the_same_comes_once() -> None:
    best = [("a man rides a bike", -0.3), ("a woman rides a bike", -0.4), ("a bike", -0.9)]
    said, _ = Wording(neutral=True, sentence=True).apply(caption(best), top=3)
    assert said.best == [("A person rides a bike.", -0.3), ("A bike.", -0.9)]
    # "person" is longer than "man".
    said, _ = Wording(neutral=True, max_characters=20).apply(caption(best))
    assert said.caption == "a bike"


def test_a_template_is_filled_with_names_of_the_photo() -> None:
    wording = Wording(template="{folder}|{name}|{file}|{path}|{caption} {{x}}", sentence=True)
    said, _ = wording.apply(caption([("a dog", -1.0)]))
    assert said.caption == f"holiday|IMG 1|IMG 1.jpg|{PHOTO}|A dog. {{x}}"
    assert said.best == [(said.caption, -1.0)]
    here, _ = Wording(template="{folder}:{caption}").apply(Caption(Path("a.jpg"), "a dog", -1.0))
    assert here.caption == f"{Path.cwd().name}:a dog"
    odd = Path("a\nb\x1b[2J\udcff{caption}") / "x.jpg"
    said, _ = Wording(template="{folder}: {caption}").apply(Caption(odd, "a dog", -1.0))
    assert said.caption == "a b\\x1b[2J\\udcff{caption}: a dog"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{foldr}: {caption}", "no field {foldr}; known are {caption}, {folder}, {name}, {file}"),
        ("{caption.__class__}", "no field {caption.__class__}"),
        ("{caption[0]}", r"no field {caption\[0\]}"),
        ("{}", "no field {}"),
        ("{0}", "no field {0}"),
        ("{ caption }", "no field { caption }"),
        ("{caption!r}", "{caption} stands alone"),
        ("{caption:>99999999999}", "{caption} stands alone"),
        ("{caption:{folder}}", "{caption} stands alone"),
        ("{caption", "a brace itself is written twice: {{ or }}"),
        ("}{caption}", "a brace itself is written twice"),
        ("{folder}", "has no {caption}"),
        ("", "has no {caption}"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused(template: str, message: str) -> None:
    with pytest.raises(CaptioningError, match=message):
        Wording(template=template)


@given(st.text(st.sampled_from("{}!:.[]0acption "), max_size=30))
def test_no_template_reaches_more_than_the_fields(template: str) -> None:
    try:
        wording = Wording(template=template)
    except CaptioningError:
        return
    said, _ = wording.apply(caption([("xyz", -1.0)]))
    assert said.caption == template.replace("{caption}", "xyz").replace("{{", "{").replace(
        "}}", "}"
    )


def test_the_fields_are_those_that_the_message_names() -> None:
    everything = " ".join(f"{{{name}}}" for name in FIELDS)
    assert Wording(template=everything).apply(caption())[0].caption.startswith("a man in")


def test_pictures_that_the_model_knows_nothing_of_have_an_empty_text() -> None:
    wording = Wording(decorative=0.02, template="{folder}: {caption}", sentence=True)
    said, was_cut = wording.apply(caption(familiar=0.019), top=3)
    assert (said.caption, said.best, said.error, was_cut) == ("", [], None, False)
    for familiar in (0.02, 0.5, None):
        assert wording.apply(caption(familiar=familiar))[0].caption.startswith("holiday: A man")
    assert not Wording().is_decorative(caption(familiar=0.0))
