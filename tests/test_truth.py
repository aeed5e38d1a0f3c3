"""What captions claim against their references; rare words; genders; the signature of a score."""

from pathlib import Path

import pytest

from captioning.errors import CaptioningError
from captioning.evaluation.bias import count_bias
from captioning.evaluation.concepts import KINDS, concepts_in
from captioning.evaluation.language import recall_of_rare_words
from captioning.evaluation.model_card import BEGIN, END, check_card, write_card
from captioning.evaluation.signature import digest, make_signature, reward_of
from captioning.evaluation.truth import find_truth, mark_wrong_words, words_of_kinds
from captioning.inference.settings import DecodingSettings


@pytest.mark.parametrize(
    ("caption", "kind", "wanted"),
    [
        ("two puppies in the ocean", "objects", {"dog", "ocean"}),
        ("a man and women on a bike", "objects", {"man", "woman", "bicycle"}),
        ("a grey and tan dog", "colours", {"gray", "tan"}),
        ("a couple of men and a group", "numbers", {"two", "several"}),
        ("a dog is running and leaps", "actions", {"run", "jump"}),
        ("boys lying by a swimming pool", "actions", {"lie"}),
        ("a girl on the slide", "actions", set()),
        ("two girls slide", "actions", {"slide"}),
        ("ein hund im schnee", "objects", set()),
    ],
)
def test_concepts_of_a_caption(caption: str, kind: str, wanted: set) -> None:
    assert concepts_in(caption, kind, KINDS[kind]) == wanted


@pytest.mark.parametrize(
    "form", ["sitting", "running", "swims", "climbing", "wearing", "jogs", "leaning", "driving"]
)
def test_forms_of_verbs_are_spelt_right(form: str) -> None:
    assert form in KINDS["actions"]


REFERENCES = {
    "1": ["a puppy in the snow", "a brown dog", "a dog runs in the snow"],
    "2": ["two boys in red", "two boys play", "a child in red"],
}


def test_precision_and_recall_count_what_references_bear_out() -> None:
    captions = {"1": "a black dog with an accordion", "2": "two people and a man in red"}
    truth = find_truth(captions, REFERENCES, {"accordion", "accordions", "snow"})
    objects = truth["objects"]
    # Said: dog, accordion; person, man. Right: the dog, and the boys are people.
    assert objects.counts[:, :2].tolist() == [[2, 1], [2, 1]]
    assert dict(objects.wrong) == {"accordion": 1, "man": 1}
    # In any reference: dog, snow; boy, child. Recalled: the dog; "person" doesn't say "boy".
    assert objects.counts[:, 2:4].tolist() == [[2, 1], [2, 0]]
    # In most: dog, snow; boy.
    assert objects.counts[:, 4:].tolist() == [[2, 1], [1, 0]]
    assert dict(objects.missed) == {"snow": 1, "boy": 1}
    # Of one class: the man for the boys. (The accordion is no place.)
    assert dict(objects.confused) == {("man", "boy"): 1}
    assert objects.rates()["precision"]["value"] == 50
    assert truth["colours"].counts[:, :2].tolist() == [[1, 0], [1, 1]]
    assert truth["numbers"].rates()["precision"] == {"value": 100.0, "interval": [100.0, 100.0]}


def test_a_perfect_caption_is_right_and_its_rates_are_within_their_intervals() -> None:
    captions = {name: rows[0] for name, rows in REFERENCES.items()}
    for one in find_truth(captions, REFERENCES, set()).values():
        rates = one.rates()
        assert rates.get("precision", {"value": 100})["value"] == 100
        for name in rates.keys() - {"said"}:
            low, high = rates[name]["interval"]
            assert low <= rates[name]["value"] <= high


def test_the_words_that_no_reference_bears_out_are_marked() -> None:
    kinds = words_of_kinds({"accordion"})
    marked = mark_wrong_words("a red dog with an accordion runs", REFERENCES["1"], kinds)
    assert [word for word, wrong in marked if wrong] == ["red", "accordion"]
    assert " ".join(word for word, _ in marked) == "a red dog with an accordion runs"


def test_another_language_has_no_truth_to_measure() -> None:
    assert find_truth({"1": "ein hund"}, {"1": ["hunde im schnee"]}, set()) == {}


def test_rare_words_are_counted_by_their_training_occurrences() -> None:
    captions = {"1": "a dog", "2": "a rare thing"}
    references = {"1": ["a dog", "the unheard accordion"], "2": ["a rare thing", "thing"]}
    train = ["a dog"] * 60 + ["rare thing"] * 5 + ["the"]
    assert recall_of_rare_words(captions, references, train) == [
        {"training occurrences": "none", "words": 2, "said": 0},
        {"training occurrences": "1 to 4", "words": 1, "said": 0},
        {"training occurrences": "5 to 9", "words": 2, "said": 2},
        {"training occurrences": "50 to 99", "words": 2, "said": 2},
    ]
    assert recall_of_rare_words(captions, references, []) == []


def test_genders_and_looks_that_references_do_not_agree_on() -> None:
    captions = {"1": "a man", "2": "an old man", "3": "a man and a black dog", "4": "a black man"}
    references = {
        "1": ["a man", "a guy", "a person"],
        "2": ["a man", "a person", "someone"],
        "3": ["a woman", "a person", "a lady"],
        "4": ["a man", "a man", "a man"],
    }
    assert count_bias(captions, references) == [
        {"word": "man", "said": 4, "not agreed": 2, "not said": 1, "neutral": 0},
        {"word": "old", "said": 1, "not agreed": 1, "not said": 1, "neutral": 1},
        {"word": "black person", "said": 1, "not agreed": 1, "not said": 1, "neutral": 1},
    ]


def test_a_signature_says_what_a_score_depends_on() -> None:
    settings = DecodingSettings(max_words=20, beam=8, length_power=1.0, views=4)
    finetuned = {"settings": {"samples": 5}, "before": {"settings": {}, "before": None}}
    signature = make_signature("dev", REFERENCES, settings, finetuned)
    assert signature.startswith(
        f"split:dev|photos:2|refs:3|data:{digest(REFERENCES)}|tok:lower-no-punctuation|end:no|"
        "reward:cider-d+end|beam:8|power:1.0|views:4|neutral:no|idf:refs|interval:bootstrap-1000|"
        "scorer:pycocoevalcap-"
    )
    greedy = make_signature("dev", REFERENCES, DecodingSettings(max_words=20), None, neutral=True)
    chosen = DecodingSettings(max_words=20, beam=8, length_power=1.0, no_repeat=2, critic=0.5)
    assert "|power:1.0|norepeat:2|critic:0.5|views:1|" in make_signature(
        "dev", REFERENCES, chosen, None
    )
    assert "|reward:unknown|beam:1|views:1|neutral:yes|" in greedy


def test_the_digest_is_that_of_photos_and_references_in_any_order() -> None:
    turned = {name: rows[::-1] for name, rows in reversed(REFERENCES.items())}
    assert digest(turned) == digest(REFERENCES)
    assert digest({**REFERENCES, "1": ["a dog"]}) != digest(REFERENCES)
    assert len(digest(REFERENCES)) == 8


def test_a_model_trained_further_keeps_its_reward() -> None:
    first = {"settings": {"samples": 5}, "before": None}
    assert reward_of({"settings": {"width": 3}, "before": first}) == "cider-d+end"
    assert reward_of({"settings": {"width": 3}, "before": None}) == "none"
    assert reward_of({}) == "unknown"


SUMMARY = {
    "photos": 1000,
    "split": "dev",
    "decoder": "beam 8",
    "signature": "split:dev|photos:1000",
    "scores": {"CIDEr": {"value": 61.23, "interval": [57.66, 65.22]}},
    "truth": {"colours": {"said": 460, "precision": {"value": 66.5, "interval": [61.7, 70.8]}}},
    "language": {"vocabulary": 241},
    "rare words": [{"training occurrences": "5 to 9", "words": 474, "said": 1}],
    "bias": [{"word": "man", "said": 200, "not agreed": 50, "not said": 20, "neutral": 0}],
}


def test_a_card_gets_its_scores_between_its_two_lines(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text(f"# Mine\n\n{BEGIN}\nold\n{END}\n\nthe end\n")
    for _ in range(2):  # writing it again changes nothing
        write_card(card, SUMMARY)
        text = card.read_text()
        assert text.startswith(f"# Mine\n\n{BEGIN}\n1,000 photos of dev, beam 8:\n`split:dev|")
        assert text.endswith(f"{END}\n\nthe end\n")
        assert "old" not in text
        assert "| CIDEr | 61.2 | 57.7 to 65.2 |" in text
        assert "| colours | 460 | 66.5 (61.7 to 70.8) | – | – |" in text
        assert "| 5 to 9 | 474 | 1 | 0% |" in text
        assert "| man | 200 | 50 (25%) | 20 | 0 |" in text


def test_a_card_without_a_place_for_scores_is_refused(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    check_card(card)  # it would be a new one
    card.write_text("# Mine\n")
    with pytest.raises(CaptioningError, match="write these two lines"):
        check_card(card)
    assert card.read_text() == "# Mine\n"
