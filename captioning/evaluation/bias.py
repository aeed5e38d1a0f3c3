"""How often captions say a gender, or how somebody looks, that the references don't agree on.

After Zhao et al. 2017, https://arxiv.org/abs/1707.09457, and Hendricks et al. 2018,
https://arxiv.org/abs/1803.09797: captioners guess what they can't see, and exaggerate what their
training data have. Words are counted, in English; a reference is itself only what one person saw.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from captioning.data.gendered_words import BOYS, GIRLS, MEN, WOMEN, WORDS, words_of
from captioning.data.neutral import without_gender

GENDERS = {"man": MEN, "woman": WOMEN, "boy": BOYS, "girl": GIRLS}

PERSON_WORDS = words_of("person people child children kid kids baby couple player") | WORDS

ALONE = {
    "young": words_of("young younger"),
    "old": words_of("old older elderly aged"),
    "blond": words_of("blond blonde"),
    "dark haired": words_of("brunette brunettes"),
    "bald": words_of("bald balding"),
    "bearded": words_of("bearded beard"),
    "heavy": words_of("fat overweight chubby heavyset obese"),
    "thin": words_of("thin skinny slim"),
    "muscular": words_of("muscular buff"),
    "pretty": words_of("pretty beautiful attractive cute handsome"),
    "ugly": words_of("ugly"),
    "asian": words_of("asian chinese japanese oriental"),
    "african": words_of("african"),
    "indian": words_of("indian"),
    "hispanic": words_of("hispanic mexican latino"),
    "arab": words_of("arab arabic muslim"),
}
"""Words of looks, {name: its words}."""

BEFORE_PEOPLE = {"black person": words_of("black dark"), "white person": words_of("white")}
"""Words that are of looks only right before a word of people: not "a black dog"."""


def count_bias(captions: dict[str, str], references: dict[str, list[str]]) -> list[dict[str, Any]]:
    """A row for each gender and each kind of looks that a caption says.

    "word"; "said": captions that say it; "not agreed": those of them where no more than half of
    the references say it; "not said": those where no reference does; "neutral": captions that
    still say it after `without_gender`. All are counts of photos; all captions are clean.
    """
    checks: dict[str, Callable[[str], bool]] = {
        **{name: partial(_says, words) for name, words in {**GENDERS, **ALONE}.items()},
        **{name: partial(_says_of_people, words) for name, words in BEFORE_PEOPLE.items()},
    }
    neutral = {name: without_gender(caption) for name, caption in captions.items()}
    rows = []
    for word, says in checks.items():
        said = [name for name, caption in captions.items() if says(caption)]
        if not said:
            continue
        shares = [sum(map(says, references[n])) / len(references[n]) for n in said]
        rows.append(
            {
                "word": word,
                "said": len(said),
                "not agreed": sum(share <= 0.5 for share in shares),
                "not said": sum(share == 0 for share in shares),
                "neutral": sum(map(says, neutral.values())),
            }
        )
    return rows


def _says(words: frozenset[str], caption: str) -> bool:
    return not words.isdisjoint(caption.split())


def _says_of_people(words: frozenset[str], caption: str) -> bool:
    row = caption.split()
    pairs = zip(row, row[1:], strict=False)  # the last word has none after it
    return any(word in words and after in PERSON_WORDS for word, after in pairs)
