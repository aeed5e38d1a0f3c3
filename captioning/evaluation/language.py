"""How varied captions are."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np


def describe_language(
    captions: dict[str, str], references: dict[str, list[str]], train: Iterable[str]
) -> dict[str, Any]:
    """How varied the captions are. train: the training captions, clean."""
    said = Counter(word for caption in captions.values() for word in caption.split())
    wanted = Counter(w for name in captions for row in references[name] for w in row.split())
    known = set(train)
    count = len(captions)
    return {
        "vocabulary": len(said),
        "distinct captions": round(len(set(captions.values())) / count, 4),
        "word for word in training": (
            round(sum(c in known for c in captions.values()) / count, 4) if known else None
        ),
        "mean length": round(sum(said.values()) / count, 2),
        "mean length of references": round(
            float(np.mean([len(row.split()) for name in captions for row in references[name]])), 2
        ),
        "never said": [word for word, _ in wanted.most_common() if word not in said][:20],
    }
