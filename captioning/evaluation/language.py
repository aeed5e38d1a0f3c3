"""How varied the generated captions are."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np


def describe_language(
    captions: dict[str, str], references: dict[str, list[str]], train: Iterable[str]
) -> dict[str, Any]:
    """The variety of clean captions, beside that of their references; as in `scores.json`.

    train: the training captions, clean; without any, the share of captions that are copied from
    them is None.
    """
    generated = Counter(word for caption in captions.values() for word in caption.split())
    expected = Counter(w for name in captions for row in references[name] for w in row.split())
    training = set(train)
    copied = sum(caption in training for caption in captions.values())
    lengths = [len(row.split()) for name in captions for row in references[name]]
    count = len(captions)
    return {
        "vocabulary": len(generated),
        "distinct captions": round(len(set(captions.values())) / count, 4),
        "word for word in training": round(copied / count, 4) if training else None,
        "mean length": round(sum(generated.values()) / count, 2),
        "mean length of references": round(float(np.mean(lengths)), 2),
        # The references' most frequent words that no caption has.
        "never said": [word for word, _ in expected.most_common() if word not in generated][:20],
    }


TRAINING_COUNTS = (0, 1, 5, 10, 20, 50, 100, 500)
"""Where the rows of `recall_of_rare_words` begin: words of so many training occurrences or more."""


def recall_of_rare_words(
    captions: dict[str, str], references: dict[str, list[str]], train: Iterable[str]
) -> list[dict[str, Any]]:
    """The references' words by how often the training captions have them, and how many are said.

    A row has "training occurrences", "words" (different ones in the references) and "said" (those
    of them that any caption has). All captions are clean; without `train` there are no rows.
    """
    occurrences = Counter(word for caption in train for word in caption.split())
    if not occurrences:
        return []
    said = {word for caption in captions.values() for word in caption.split()}
    words = {word for name in captions for row in references[name] for word in row.split()}
    rows = []
    for least, following in zip(TRAINING_COUNTS, [*TRAINING_COUNTS[1:], None], strict=True):
        own = {w for w in words if least <= occurrences[w] < (following or float("inf"))}
        name = f"{least} or more" if following is None else f"{least} to {following - 1}"
        if own:
            rows.append(
                {
                    "training occurrences": "none" if following == 1 else name,
                    "words": len(own),
                    "said": len(own & said),
                }
            )
    return rows
