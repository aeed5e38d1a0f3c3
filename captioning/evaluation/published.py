"""Scores that papers and repositories report for Flickr8k: the report's columns, the leaderboard.

`docs/leaderboard.py` writes docs/leaderboard.md from them. Only what was read at the place that
`found` names is here.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A model's scores on Flickr8k's test split.

    short: the head of its column in the report; "" for those that only the leaderboard has;
    frozen: whether the encoder stays as ImageNet left it, None where that isn't said; found: where
    the figures were read, if not in the paper; caveat: why they don't compare with words-only
    scores of a model that learned from Flickr8k's train split alone, or "".
    """

    name: str
    source: str
    link: str
    encoder: str
    frozen: bool | None
    scores: dict[str, float]
    short: str = ""
    found: str = ""
    caveat: str = ""


def _scores(**values: float) -> dict[str, float]:
    """Scores by the names that they have here. b1 to b4: BLEU."""
    names = {"b1": "BLEU-1", "b2": "BLEU-2", "b3": "BLEU-3", "b4": "BLEU-4"}
    names |= {"meteor": "METEOR", "rouge": "ROUGE-L", "cider": "CIDEr"}
    return {names[key]: value for key, value in values.items()}


_GITHUB = "https://github.com/"
_README = "the repository's README"

PUBLISHED = (
    Published(
        "Tanti et al. 2018: a merge model on VGG vectors, mean of three runs",
        "Where to put the image in an image caption generator",
        "https://arxiv.org/abs/1703.09137",
        "VGG",
        True,
        _scores(b1=60.0, b2=41.3, b3=27.3, b4=17.8, meteor=19.3, rouge=44.4, cider=46.9),
        short="merge, VGG",
        found="results/results.txt of mtanti/where-image2",
    ),
    Published(
        "Tanti et al. 2018: an init-inject model on VGG vectors, mean of three runs",
        "Where to put the image in an image caption generator",
        "https://arxiv.org/abs/1703.09137",
        "VGG",
        True,
        _scores(b1=61.1, b2=42.4, b3=28.5, b4=19.1, meteor=19.4, rouge=44.5, cider=48.1),
        found="results/results.txt of mtanti/where-image2",
    ),
    Published(
        "Xu et al. 2015: hard attention on a grid of VGG",
        "Show, Attend and Tell",
        "https://arxiv.org/abs/1502.03044",
        "VGG",
        True,
        _scores(b1=67.0, b2=45.7, b3=31.4, b4=21.3),
        short="hard attention, VGG",
    ),
    Published(
        "Vinyals et al. 2015: an LSTM, an ensemble, beam 20",
        "Show and Tell",
        "https://arxiv.org/abs/1411.4555",
        "GoogLeNet",
        None,
        _scores(b1=63.0, b2=41.0, b3=27.0),
        found="sulabhkatiyar/show_tell's README, which quotes the two papers",
    ),
    Published(
        "Katiyar: Show and Tell again, beam 3",
        "sulabhkatiyar/show_tell",
        f"{_GITHUB}sulabhkatiyar/show_tell",
        "VGG-16",
        None,
        _scores(b1=60.8, b2=42.4, b3=29.0, b4=19.8, meteor=19.1, rouge=44.7, cider=47.8),
        found=_README,
    ),
    Published(
        "Katiyar: a bidirectional LSTM, greedy",
        "sulabhkatiyar/Bi-LSTM",
        f"{_GITHUB}sulabhkatiyar/Bi-LSTM",
        "VGG-16",
        None,
        _scores(b1=63.2, b2=43.6, b3=28.6, b4=18.1, meteor=19.3, rouge=44.1, cider=45.5),
        found=_README,
    ),
    Published(
        "Katiyar: spatial attention, beam 5",
        "sulabhkatiyar/Spatial_Att",
        f"{_GITHUB}sulabhkatiyar/Spatial_Att",
        "VGG-16",
        True,
        _scores(b1=62.2, b2=43.3, b3=29.3, b4=19.7, meteor=19.6, rouge=45.0, cider=49.7),
        found=_README,
    ),
    Published(
        "Katiyar: spatial attention, beam 10",
        "sulabhkatiyar/Spatial_Att",
        f"{_GITHUB}sulabhkatiyar/Spatial_Att",
        "ResNet-152",
        False,
        _scores(b1=66.5, b2=48.6, b3=34.1, b4=23.4, meteor=20.7, rouge=48.3, cider=56.8),
        found=_README,
    ),
    Published(
        "Katiyar: adaptive attention, beam 3",
        "sulabhkatiyar/Adaptive_Att",
        f"{_GITHUB}sulabhkatiyar/Adaptive_Att",
        "VGG-16",
        True,
        _scores(b1=62.4, b2=44.0, b3=30.3, b4=20.5, meteor=19.9, rouge=45.7, cider=52.4),
        found=_README,
    ),
    Published(
        "Katiyar: adaptive attention, beam 5",
        "sulabhkatiyar/Adaptive_Att",
        f"{_GITHUB}sulabhkatiyar/Adaptive_Att",
        "ResNet-152",
        False,
        _scores(b1=65.9, b2=48.0, b3=33.9, b4=23.5, meteor=20.7, rouge=47.6, cider=58.9),
        found=_README,
    ),
    Published(
        "danieljl: an LSTM, beam 3",
        "danieljl/keras-image-captioning",
        f"{_GITHUB}danieljl/keras-image-captioning",
        "Inception-v3",
        True,
        _scores(b1=61.8, b2=40.8, b3=27.8, b4=19.0, meteor=21.5, rouge=48.7, cider=41.5),
        found="the repository's results, test-metrics-3-20.yaml",
        caveat="the end marker counts as a word; its captions without it: BLEU-4 18.3",
    ),
    Published(
        "MARNN-FRFICP 2025",
        "Scientific Reports 2025, table 4",
        "https://www.nature.com/articles/s41598-025-19733-w",
        "DenseNet169 and others",
        None,
        _scores(b1=80.1, b2=63.6, b3=56.6, b4=45.8, meteor=43.5, cider=64.0),
        caveat="another scorer: twice the METEOR of any other row, at the same CIDEr",
    ),
)

_FLICKR8K_NAME = re.compile(r"\d+_[0-9a-f]{8,10}(_[a-z])?\.jpg")


def published_beside(references: dict[str, list[str]]) -> list[Published]:
    """The scores of papers to show beside a model's, with these references: {file name: captions}.

    None beside scores of other photos than Flickr8k's, or of a single reference each: they would
    say nothing.
    """
    comparable = is_flickr8k(references) and min(map(len, references.values())) > 1
    return [paper for paper in PUBLISHED if paper.short] if comparable else []


def is_flickr8k(names: Iterable[str]) -> bool:
    """Whether these are photos of Flickr8k, by their file names; Flickr30k's have other ones."""
    return all(_FLICKR8K_NAME.fullmatch(name) for name in names)
