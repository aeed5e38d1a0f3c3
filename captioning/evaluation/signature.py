"""One line beside a score that says how it came about, so that two figures compare at sight.

In the way of sacreBLEU (Post 2018, https://arxiv.org/abs/1804.08771) and, for what fine-tuning was
rewarded for, of SacreEOS (Hu et al. 2023, https://arxiv.org/abs/2305.12254): where the end of the
caption is no word in the reward, CIDEr rises by up to four points on captions that stop in
mid-sentence. Two scores compare where all but the decoder's parts are the same.
"""

import hashlib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from captioning.evaluation.bootstrap import RESAMPLES
from captioning.inference.settings import DecodingSettings


def make_signature(
    split: str,
    references: Mapping[str, list[str]],
    settings: DecodingSettings,
    training: Mapping[str, Any] | None,
    neutral: bool = False,
) -> str:
    """`name:value` parts joined by `|`.

    split: its name; references: {file name: clean captions} of the photos that are scored;
    training: as in `captioner.json`, of the (first) model; neutral: whether captions were
    rewritten without people's gender.
    """
    counts = {len(rows) for rows in references.values()}
    least, most = min(counts), max(counts)
    parts = {
        "split": split,
        "photos": len(references),
        "refs": least if least == most else f"{least}-{most}",
        "data": digest(references),
        "tok": "lower-no-punctuation",  # `clean_caption`, of captions and references alike
        "end": "no",  # markers are no words; `score_captions` refuses them
        "reward": reward_of(training),
        **_decoder(settings),
        "neutral": "yes" if neutral else "no",
        "idf": "refs",  # CIDEr's document frequencies are those of these references
        "interval": f"bootstrap-{RESAMPLES}",
        "scorer": f"pycocoevalcap-{_version_of('pycocoevalcap')}",
        "version": _version_of("image-caption-generator"),
    }
    return "|".join(f"{name}:{value}" for name, value in parts.items())


def digest(references: Mapping[str, list[str]]) -> str:
    """Eight hexadecimal digits of the photos' names and their clean references, in any order."""
    lines = sorted("\t".join([name, *sorted(rows)]) for name, rows in references.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]


def reward_of(training: Mapping[str, Any] | None) -> str:
    """What a model was rewarded for: "cider-d+end", the end counted as a word, or "none".

    "unknown" where the model's folder doesn't tell of its training.
    """
    if not training:
        return "unknown"
    stage: Mapping[str, Any] | None = training
    while stage:
        # Only self-critical fine-tuning samples captions; its reward counts the end token.
        if "samples" in stage.get("settings", {}):
            return "cider-d+end"
        stage = stage.get("before")
    return "none"


def _decoder(settings: DecodingSettings) -> dict[str, Any]:
    if settings.beam == 1 and not settings.no_repeat:
        parts: dict[str, Any] = {"beam": 1}
    else:
        parts = {"beam": settings.beam, "power": settings.length_power}
    if settings.no_repeat:
        parts["norepeat"] = settings.no_repeat
    if settings.critic:
        parts["critic"] = settings.critic
    if settings.neighbours:
        parts["neighbours"] = settings.neighbours
    return {**parts, "views": max(1, settings.views)}


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # a clone that was never installed
        return "source"
