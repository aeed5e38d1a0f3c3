"""Which words are objects, by how the references use them.

It finds the nouns that no list has (`evaluation/concepts.py`), without a part-of-speech tagger.
"""

from collections import Counter
from collections.abc import Iterable

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
