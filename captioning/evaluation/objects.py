"""Hallucinated and missed objects in captions, and which words are objects at all.

There is no list of nouns and no part-of-speech tagger: a word is an object if the references use
it as one.
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
"""Words that open a noun phrase; not "one" and "another", which stand alone as often."""


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
"""Words that follow a noun phrase."""


NOT_OBJECTS = frozenset(
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
"""Nouns for parts of a picture or for counts, not for things in it."""


PLURALS = {"men": "man", "women": "woman", "children": "child", "people": "person"}


MIN_NOUN_SHARE = 0.06
"""A word is an object if at least this share of its uses is that of a noun; verbs have less."""


MIN_PHRASE_END_SHARE = 0.2
"""And if it ends a phrase this often: the first noun of "fire hydrant" hardly does."""


MIN_OPENED_SHARE, MAX_PHRASE_END_SHARE = 0.25, 0.1
"""A word is an adjective if it follows a word of `BEFORE` that often, but hardly ends phrases."""


def object_words(captions: Iterable[str], min_count: int = 5) -> set[str]:
    """The words of clean captions that are used as objects: "dog" in "a black dog in the snow".

    An object stands between a word of `BEFORE`, or an adjective, and the end or a word of
    `AFTER`. Words with fewer than `min_count` uses are left out.
    """
    rows = [caption.split() for caption in captions]
    uses: Counter[str] = Counter()
    opened: Counter[str] = Counter()
    phrase_ends: Counter[str] = Counter()
    for words in rows:
        for before, word, ends_phrase in _contexts(words):
            uses[word] += 1
            opened[word] += before in BEFORE
            phrase_ends[word] += ends_phrase
    frequent = [word for word, count in uses.items() if count >= min_count]
    adjectives = {
        word
        for word in frequent
        if opened[word] >= MIN_OPENED_SHARE * uses[word]
        and phrase_ends[word] <= MAX_PHRASE_END_SHARE * uses[word]
    }
    # A second pass, now that the adjectives are known: in "a black dog" they open the phrase.
    as_noun = Counter(
        word
        for words in rows
        for before, word, ends_phrase in _contexts(words)
        if ends_phrase and (before in BEFORE or before in adjectives)
    )
    excluded = BEFORE | AFTER | NOT_OBJECTS | adjectives
    return {
        word
        for word in frequent
        if word not in excluded
        and as_noun[word] >= MIN_NOUN_SHARE * uses[word]
        and phrase_ends[word] >= MIN_PHRASE_END_SHARE * uses[word]
    }


def _contexts(words: list[str]) -> Iterable[tuple[str, str, bool]]:
    """Each word with the one before it, and whether a phrase ends with it."""
    for place, word in enumerate(words):
        before = words[place - 1] if place else ""
        yield before, word, place + 1 == len(words) or words[place + 1] in AFTER


@dataclass(frozen=True)
class ObjectErrors:
    """Objects of captions that no reference has, and objects of most references that they miss.

    hallucinated: (word, photos whose references lack it, photos whose caption has it); missed:
    (word, photos whose caption lacks it, photos with it in most references), most frequent first
    both; hallucinated_share: of all objects in captions; captions_share: of captions, those with a
    hallucinated object. The two are CHAIR's rates per instance and per sentence (Rohrbach et al.
    2018, https://arxiv.org/abs/1809.02156), without its synonyms and object annotations.
    """

    hallucinated: list[tuple[str, int, int]]
    missed: list[tuple[str, int, int]]
    hallucinated_share: float
    captions_share: float


def find_object_errors(
    captions: dict[str, str], references: dict[str, list[str]], objects: set[str]
) -> ObjectErrors:
    """Compare the objects of captions and of references, photo by photo, all of them clean.

    Words are compared, not meanings: "man" is hallucinated where the references say "boy". Plural
    and singular are the same. objects: as `object_words` gives them.
    """
    mentioned: Counter[str] = Counter()
    hallucinated: Counter[str] = Counter()
    expected: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    captions_wrong = 0
    for name, caption in captions.items():
        rows = [_objects_of(row, objects) for row in references[name]]
        in_any = set().union(*rows)
        own = _objects_of(caption, objects)
        counts = Counter(word for row in rows for word in row)
        # One reference alone may name a detail; what most of them name belongs in a caption.
        in_most = {word for word, count in counts.items() if count > len(rows) / 2}
        mentioned.update(own)
        hallucinated.update(own - in_any)
        expected.update(in_most)
        missed.update(in_most - own)
        captions_wrong += bool(own - in_any)
    return ObjectErrors(
        [(word, count, mentioned[word]) for word, count in _by_count(hallucinated)],
        [(word, count, expected[word]) for word, count in _by_count(missed)],
        sum(hallucinated.values()) / max(1, sum(mentioned.values())),
        captions_wrong / max(1, len(captions)),
    )


def _objects_of(caption: str, objects: set[str]) -> set[str]:
    return {_singular(word, objects) for word in caption.split() if word in objects}


def _singular(word: str, objects: set[str]) -> str:
    """The singular, if that is an object as well: "dress" has no singular "dr" or "dres"."""
    for ending in ("es", "s"):  # the longer first: "buses" are "bus", not "buse"
        if word.endswith(ending) and word.removesuffix(ending) in objects:
            return word.removesuffix(ending)
    return PLURALS.get(word, word)


def _by_count(counts: Counter[str]) -> list[tuple[str, int]]:
    """Most frequent first, then by the alphabet, so that the report is the same each time."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
