"""Scores that papers report for the test split of Flickr8k."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A model's scores in a paper. short: for the narrow head of a table's column."""

    short: str
    name: str
    source: str
    link: str
    scores: dict[str, float]


PUBLISHED = (
    Published(
        "merge, VGG",
        "Tanti et al. 2018: a merge model on VGG vectors, mean of three runs",
        "Where to put the image in an image caption generator",
        "https://arxiv.org/abs/1703.09137",
        {
            "BLEU-1": 60.0,
            "BLEU-2": 41.3,
            "BLEU-3": 27.3,
            "BLEU-4": 17.8,
            "ROUGE-L": 44.4,
            "CIDEr": 46.9,
        },
    ),
    Published(
        "hard attention, VGG",
        "Xu et al. 2015: hard attention on a grid of VGG",
        "Show, Attend and Tell",
        "https://arxiv.org/abs/1502.03044",
        {"BLEU-1": 67.0, "BLEU-2": 45.7, "BLEU-3": 31.4, "BLEU-4": 21.3},
    ),
)
