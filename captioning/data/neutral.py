"""Captions without the gender of people: "a man and a woman" becomes "two people".

A rewriting after decoding, of English alone. To ban the words instead makes it worse: a model that
may not say "woman" says "guy". A decoder guesses genders, and often from clothes or company; how
often the references don't bear it out is counted by `evaluation/bias.py`.
"""

import re

from captioning.data.gendered_words import (
    ADJECTIVES,
    ANIMALS,
    DROPPED_POSSESSIVES,
    FUNCTION_WORDS,
    NOUNS,
    PEOPLE,
    POSSESSIVES,
    ROLES,
    SINGULARS,
    SPORTS,
    WORDS,
    plural_of,
)

NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]

_INDEFINITE = ("a", "an", "another", "one")
_MANY = ("several", "some", "many", "few", "other")
_ADJECTIVE = (
    "young|younger|old|older|elderly|little|small|tall|big|large|smiling|happy|blond|blonde|"
    "middle aged|asian|black|white|african|american|indian|teenage|bearded|shirtless|barefoot|adult"
)
_NEUTRAL = {plural_of(noun): noun for noun in {*SINGULARS.values(), "person", "child"}}
"""{plural: singular} of the neutral nouns that can be added up."""

_NOUN = "|".join(sorted({*_NEUTRAL, *_NEUTRAL.values()}, key=len, reverse=True))
_DETERMINERS = "|".join([*_INDEFINITE, "the", "their", *_MANY, *NUMBERS[1:]])
_PHRASE = rf"(?:\b({_DETERMINERS}) )?((?:\b(?:{_ADJECTIVE}) )*)\b({_NOUN})\b"
_PAIR = re.compile(rf"{_PHRASE} (and )?{_PHRASE}(?: (is|was|has)\b)?")
_ONE_MORE = re.compile(rf"\ban? ((?:(?:{_ADJECTIVE}) )*)({_NOUN})\b")

_PLURAL_VERBS = {"is": "are", "was": "were", "has": "have"}
_SUBJECT_VERBS = {**_PLURAL_VERBS, "does": "do", "goes": "go", "lies": "lie", "ties": "tie"}
_PHRASES = (
    (re.compile(r"\b(?:teenage|teenaged|teen) (?:boy|girl)(s?)\b"), r"teenager\1"),
    (re.compile(r"\b(baby|toddler|infant) (?:boy|girl)\b"), r"\1"),
    (re.compile(r"\bman made\b"), "artificial"),
    (re.compile(r"\b(?:fe)?male and (?:fe)?male (?=(?!and\b|in\b|are\b|on\b|with\b)\w)"), ""),
    (re.compile(r"\bcow(?:boy|girl) (?=hats?\b|boots?\b)"), "western "),
)
"""Rewritten first, as several words are one idea."""


def gendered_words(caption: str) -> list[str]:
    """The words of a clean caption that say a person's gender, in their order."""
    return [word for word in caption.split() if word in WORDS]


def without_gender(caption: str) -> str:
    """A clean caption with person, child and the like for man, woman, boy and girl.

    What agrees with them changes too: pronouns and their verbs, plurals, possessives, trades
    ("fireman"), and sums ("a man and a woman"). A pronoun becomes "its" where the caption has
    animals and no people. A caption without a gendered word comes back as it is.
    """
    if not gendered_words(caption):
        return caption
    for pattern, replacement in _PHRASES:
        caption = pattern.sub(replacement, caption)
    caption = _fit_articles(_rewrite_words(caption.split()))
    previous = ""
    while caption != previous:  # "a man a woman and a boy" adds up in two rounds
        previous, caption = caption, _PAIR.sub(_add_up, caption)
    return _say_another(caption)


def _rewrite_words(words: list[str]) -> list[str]:
    """Word for word, knowing the words around each."""
    found: list[str] = []
    # A pronoun is an animal's where no person was named, or will be.
    animal = bool(ANIMALS & set(words)) and not any(w in NOUNS or w in PEOPLE for w in words)
    subject = False  # whether the verb to come is that of a "they" that was "he" or "she"
    for place, word in enumerate(words):
        after = words[place + 1] if place + 1 < len(words) else ""
        modifies = bool(after) and after not in FUNCTION_WORDS
        owns = modifies or after in NUMBERS  # "her two kids"
        if subject and not word.endswith("ly"):
            word, subject = _plural_verb(word), False
        if word in ("he", "she"):
            subject = not animal
            found.append("it" if animal else "they")
        elif word in _PRONOUN_FORMS:
            found.append(_PRONOUN_FORMS[word][2 * animal + owns])
        elif not _says_nothing_else(word, words[place + 1 : place + 3], modifies):
            found.append(_noun_or_word(word, found, after, modifies))
    return found


_PRONOUN_FORMS = {
    "him": ("them", "them", "it", "it"),
    "her": ("them", "their", "it", "its"),
    "his": ("theirs", "their", "its", "its"),
    "hers": ("theirs", "theirs", "its", "its"),
    "himself": ("themselves", "themselves", "itself", "itself"),
    "herself": ("themselves", "themselves", "itself", "itself"),
}
"""A person's pronoun alone and before a noun, an animal's alone and before a noun."""


def _noun_or_word(word: str, before: list[str], after: str, modifies: bool) -> str:
    """The neutral form of a noun or possessive, or the word itself."""
    if word in ("male", "female"):  # alone: before a noun it was dropped
        return "person"
    if word in ("males", "females"):
        return "people"
    # "a girls hand": after cleaning, a singular article alone tells the possessive from a plural.
    if word in ("boys", "girls") and modifies and before and before[-1] in ("a", "another"):
        return "childs"
    return POSSESSIVES.get(word) or NOUNS.get(word, word)


def _says_nothing_else(word: str, following: list[str], modifies: bool) -> bool:
    """Whether a gendered word is left out, since what it describes follows it."""
    if word in DROPPED_POSSESSIVES:
        return True
    if word in ADJECTIVES:  # "a female athlete"; but "a female wearing red" is a person
        return modifies and not following[0].endswith("ing")
    return word in NOUNS and _names_a_role(following)


def _names_a_role(following: list[str]) -> bool:
    """Whether the words after a gendered noun name the person again: "a woman tennis player"."""
    if following[:1] and following[0] in SPORTS:
        following = following[1:]
    return bool(following) and following[0] in ROLES


def _plural_verb(verb: str) -> str:
    """The verb as it stands after "they"; other words as they are."""
    if verb in _SUBJECT_VERBS:
        return _SUBJECT_VERBS[verb]
    if verb.endswith("ies"):
        return f"{verb.removesuffix('ies')}y"
    if verb.endswith(("ches", "shes", "sses", "xes", "zzes")):
        return verb.removesuffix("es")
    return verb.removesuffix("s") if not verb.endswith("ss") else verb


def _fit_articles(words: list[str]) -> str:
    """ "a" or "an", by the first letter of the word that follows now."""
    for place, word in enumerate(words[:-1]):
        if word in ("a", "an"):
            words[place] = "an" if words[place + 1][0] in "aeio" else "a"
    return " ".join(words)


def _add_up(found: re.Match[str]) -> str:
    """ "a person and a person" as "two people", where both are the same kind of people."""
    first, second = found.group(1, 2, 3), found.group(5, 6, 7)
    joined, verb = found[4], found[8]
    (article, looks, noun), (other_article, other_looks, other_noun) = first, second
    # Without "and" only a list is one: "a man a woman and a dog", but not "man person".
    if not joined and other_article not in ("a", "an", "another"):
        return found[0]
    if not article and _is_in_a_phrase(found.string[: found.start()].split()):
        return found[0]
    single, other_single = (_NEUTRAL.get(word, word) for word in (noun, other_noun))
    shared = other_article is None and not other_looks  # "an old man and woman"
    if single != other_single or not (looks == other_looks or shared):
        return found[0]
    counts = _count(article, noun), _count(other_article, other_noun)
    if None in counts:
        # A group's size is not known, and stays so.
        many = [a for a in (article, other_article) if a in _MANY]
        start = many[:1]
    elif sum(filter(None, counts)) > len(NUMBERS):
        return found[0]
    else:
        start = [NUMBERS[sum(filter(None, counts)) - 1]]
        if "the" in (article, other_article):
            start.insert(0, "the")
        elif article == "their":
            start = ["their"]
    words = [*start, *looks.split(), plural_of(single)]
    return " ".join([*words, *([_PLURAL_VERBS[verb]] if verb else [])])


def _is_in_a_phrase(before: list[str]) -> bool:
    """Whether an article and adjectives that aren't known precede: "a sunburnt person"."""
    for word in reversed(before):
        if word in ("a", "an", "the"):
            return True
        if word in FUNCTION_WORDS:
            return False
    return False


def _count(article: str | None, noun: str) -> int | None:
    """How many people a phrase names; None for a plural without a number."""
    if noun not in _NEUTRAL:
        return 1
    return NUMBERS.index(article) + 1 if article in NUMBERS else None


def _say_another(caption: str) -> str:
    """ "a person looks at another person", where a second "a person" would be the same one."""
    named: set[tuple[str, str]] = set()

    def replace(found: re.Match[str]) -> str:
        looks, noun = found[1], found[2]
        again = any(one == noun and looks in ("", other) for other, one in named)
        named.add((looks, noun))
        return f"another {looks}{noun}" if again and noun not in _NEUTRAL else found[0]

    return _ONE_MORE.sub(replace, caption)
