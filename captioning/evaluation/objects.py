"""Objects that captions name: which words are objects, and which a model makes up or passes over.

No list of nouns and no tagger: a word is an object by the way it is used in the references.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

BEFORE = frozenset(
    [
        "a",
        "an",
        "the",
        "two",
        "three",
        "four",
        "five",
        "six",
        "several",
        "his",
        "her",
        "its",
        "their",
    ]
)
"""Words that open a phrase of an object; "one" and "another" stand alone as often."""


AFTER = frozenset(
    [
        "in",
        "on",
        "at",
        "with",
        "by",
        "of",
        "to",
        "from",
        "over",
        "under",
        "near",
        "through",
        "behind",
        "beside",
        "into",
        "onto",
        "is",
        "are",
        "while",
        "as",
        "that",
        "who",
        "which",
        "up",
        "down",
        "across",
        "around",
        "along",
        "against",
        "next",
        "inside",
        "outside",
        "during",
        "for",
        "off",
        "out",
    ]
)
"""Words that such a phrase has ended before."""


NO_THINGS = frozenset(
    [
        "air",
        "area",
        "back",
        "background",
        "bottom",
        "couple",
        "day",
        "distance",
        "edge",
        "front",
        "group",
        "left",
        "line",
        "lot",
        "middle",
        "other",
        "others",
        "photo",
        "photograph",
        "picture",
        "right",
        "set",
        "side",
        "something",
        "top",
        "view",
    ]
)
"""Used as objects are, but parts of a picture or counts, not things in it."""


PLURALS = {"men": "man", "women": "woman", "children": "child", "people": "person"}


LEAST_SHARE = 0.06
"""So often at least must a word stand as an object to be one; a verb hardly ever does."""


def object_words(captions: Iterable[str], min_count: int = 5) -> set[str]:
    """The words of clean captions that are used as objects: "dog" in "a black dog in the snow".

    An object stands between a word of `BEFORE`, or an adjective, and the end or a word of
    `AFTER`. An adjective stands after a word of `BEFORE`, but hardly ever at a phrase's end.
    Words seen less than `min_count` times are left out.
    """
    rows = [caption.split() for caption in captions]
    counts, opened, closed = Counter(), Counter(), Counter()
    for words in rows:
        for before, word, ends in _places(words):
            counts[word] += 1
            opened[word] += before in BEFORE
            closed[word] += ends
    frequent = [word for word, count in counts.items() if count >= min_count]
    adjectives = {
        word
        for word in frequent
        if opened[word] >= 0.25 * counts[word] and closed[word] <= 0.1 * counts[word]
    }
    stands = Counter(
        word
        for words in rows
        for before, word, ends in _places(words)
        if ends and (before in BEFORE or before in adjectives)
    )
    known = BEFORE | AFTER | NO_THINGS | adjectives
    return {
        word
        for word in frequent
        if word not in known
        and stands[word] >= LEAST_SHARE * counts[word]
        and closed[word] >= 0.2 * counts[word]
    }


def _places(words: list[str]) -> Iterable[tuple[str, str, bool]]:
    """Each word with the one before it, and whether a phrase ends with it."""
    for place, word in enumerate(words):
        before = words[place - 1] if place else ""
        yield before, word, place + 1 == len(words) or words[place + 1] in AFTER


@dataclass(frozen=True)
class ObjectErrors:
    """Objects said that no reference has, and objects of most references that go unsaid.

    made_up, passed_over: (word, photos where it is so, photos where the word was said, or is in
    most references), most frequent first; made_up_share: of all objects said; photos_share: of
    photos whose caption has a made-up object (the two rates of CHAIR, Rohrbach et al. 2018,
    https://arxiv.org/abs/1809.02156, against the references' words alone).
    """

    made_up: list[tuple[str, int, int]]
    passed_over: list[tuple[str, int, int]]
    made_up_share: float
    photos_share: float


def find_object_errors(
    said: dict[str, str], references: dict[str, list[str]], objects: set[str]
) -> ObjectErrors:
    """Compare the objects of captions and of references, photo by photo, clean captions all.

    Words are compared, not meanings: "man" is made up where the references say "boy". Plural and
    singular are one. objects: as `object_words` gives them.
    """
    told, wrong, common, unsaid = Counter(), Counter(), Counter(), Counter()
    photos_wrong = 0
    for name, caption in said.items():
        rows = [_objects_of(row, objects) for row in references[name]]
        known = set().union(*rows)
        own = _objects_of(caption, objects)
        in_rows = Counter(word for row in rows for word in row)
        most = {word for word, count in in_rows.items() if count > len(rows) / 2}
        told.update(own)
        wrong.update(own - known)
        common.update(most)
        unsaid.update(most - own)
        photos_wrong += bool(own - known)
    return ObjectErrors(
        [(word, count, told[word]) for word, count in _by_count(wrong)],
        [(word, count, common[word]) for word, count in _by_count(unsaid)],
        sum(wrong.values()) / max(1, sum(told.values())),
        photos_wrong / max(1, len(said)),
    )


def _objects_of(caption: str, objects: set[str]) -> set[str]:
    return {_singular(word, objects) for word in caption.split() if word in objects}


def _singular(word: str, objects: set[str]) -> str:
    for ending in ("es", "s"):
        if word.endswith(ending) and word.removesuffix(ending) in objects:
            return word.removesuffix(ending)
    return PLURALS.get(word, word)


def _by_count(counts: Counter) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
