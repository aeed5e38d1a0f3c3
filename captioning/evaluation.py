"""What a model says of a split, its scores, and what else a reader of scores should know."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from captioning.bundle import trained_on
from captioning.captioner import Captioner
from captioning.dataset import Dataset, read_dataset
from captioning.errors import CaptioningError
from captioning.extraction import extract_features
from captioning.files import json_text, write_json, write_text
from captioning.prepare import Prepared
from captioning.scoring import TOKENISATION, Scores, has_java, score_captions
from captioning.store import read_features

PHOTOS_AT_ONCE = 250
"""So many photos' grids are in memory while a split is captioned."""

ALL = "all"
"""The split of every photo, straight from a folder."""

NAMED = 10
"""So many photos are named in a message."""


def caption_photos(
    captioner: Captioner, prepared: Prepared, names: list[str], **decoding: Any
) -> dict[str, tuple[str, float]]:
    """Caption and confidence (mean log-probability a word) of photos, from their vectors.

    Raises `CaptioningError` when the vectors were made by another encoder than the model's.
    """
    check_encoder_fits(captioner, prepared)
    views = captioner.settings(**decoding).views
    captions = {}
    for start in range(0, len(names), PHOTOS_AT_ONCE):
        some = names[start : start + PHOTOS_AT_ONCE]
        found = captioner.describe(*read_inputs(captioner, prepared, some, views), **decoding)
        captions |= {
            name: (captioner.text(best[0]), best[0].score)
            for name, best in zip(some, found, strict=True)
        }
    return captions


def read_inputs(
    captioner: Captioner, prepared: Prepared, names: list[str], views: int = 1
) -> tuple[np.ndarray, np.ndarray | None]:
    """What the captioner reads of photos: vectors (photos, D), and, where it looks at them, grids
    (photos, views, regions, D).
    """
    vectors, grids = prepared.features.matrix(names), None
    if captioner.reads_grids:
        rows = prepared.features.grid_rows(names, views)[:, :views]
        grids = prepared.features.grids[rows]  # (photos, views, regions, D)
    return vectors, grids


@dataclass
class Evaluation:
    """A model's captions of a split with their scores.

    captions: {file name: (caption, confidence)}; about: what scores.json holds.
    """

    captions: dict[str, tuple[str, float]]
    references: dict[str, list[str]]
    scores: Scores
    about: dict[str, Any]

    def compare(self, name: str, other: "Evaluation") -> None:
        """Add the paired differences to another model's scores of the same photos."""
        self.about["against"] = {
            "model": name,
            "decoder": other.about["decoder"],
            "scores": other.about["scores"],
            "difference": {
                score: {"value": round(value, 2), "interval": [round(low, 2), round(high, 2)]}
                for score, (value, low, high) in self.scores.minus(other.scores).items()
            },
        }

    def text(self) -> str:
        """The scores and what stands beside them, for people."""
        about = self.about
        lines = [
            f"{about['split']}, {about['photos']:,} photos, {about['decoder']}; "
            f"{about['tokenisation']}",
        ]
        if about.get("missing photos"):
            lines.append(
                f"FEWER THAN THE SPLIT HAS: {about['missing photos']:,} photos missing, without "
                f"vector or caption ({_some(about['missing'])})"
            )
        against = about.get("against")
        if against:
            lines.append(f"{'':10} {'score':>6}   95% interval     minus {against['model']} "
                         f"({against['decoder']}), paired")
        for name, row in about["scores"].items():
            low, high = row["interval"]
            line = f"{name:10} {row['value']:6.1f}   {low:5.1f} to {high:5.1f}"
            if against and name in against["difference"]:
                other = against["difference"][name]
                low, high = other["interval"]
                line += f"   {other['value']:+6.1f} ({low:+.1f} to {high:+.1f})"
            lines.append(line)
        if "METEOR" not in about["scores"]:
            lines.append(f"METEOR     {about['no METEOR']}")
        for what, value in about["language"].items():
            shown = ", ".join(value) if isinstance(value, list) else value
            if value is None:
                shown = "not known, the model's training captions are not here"
            lines.append(f"{what}: {shown}")
        return "\n".join(lines)


def evaluate(
    captioner: Captioner, prepared: Prepared, split: str, meteor: bool = True, **decoding: Any
) -> Evaluation:
    """Caption a split and score the captions; METEOR where Java is there and it is asked for.

    Raises `CaptioningError` when the split is empty, or of another encoder's vectors.
    """
    names = split_photos(prepared.splits, split)
    captions = caption_photos(captioner, prepared, names, **decoding)
    said = {name: caption for name, (caption, _) in captions.items()}
    references = {name: prepared.captions[name] for name in names}
    scores = score_captions(said, references, meteor and has_java())
    about = {
        "split": split,
        "photos": len(names),
        "decoder": str(captioner.settings(**decoding)),
        "tokenisation": TOKENISATION,
        "scores": table(scores, scores.intervals()),
        "language": describe_language(said, references, training_captions(captioner, prepared)),
    }
    if prepared.missing.get(split):
        about["missing photos"] = len(prepared.missing[split])
        about["missing"] = prepared.missing[split]
    if "METEOR" not in scores.corpus:
        about["no METEOR"] = "left out" if not meteor else "not computed: there is no Java here"
    return Evaluation(captions, references, scores, about)


def score_split(
    captioner: Captioner, prepared: Prepared, split: str, **decoding: Any
) -> tuple[Scores, dict[str, str]]:
    """Scores of a split's captions, without METEOR, and the captions by file name."""
    result = evaluate(captioner, prepared, split, meteor=False, **decoding)
    return result.scores, {name: caption for name, (caption, _) in result.captions.items()}


def write_evaluation(result: Evaluation, folder: Path, together: bool = False) -> None:
    """Write `scores.json` and `predictions.jsonl` into a model's folder.

    Of an ensemble (`together`) they are `ensemble-scores.json` and `ensemble-predictions.jsonl`.
    """
    prefix = "ensemble-" if together else ""
    write_json(folder / f"{prefix}scores.json", result.about)
    cider = result.scores.cider
    rows = [
        {"photo": name, "caption": caption, "confidence": round(confidence, 4),
         "references": result.references[name], "CIDEr": round(cider[name], 1)}
        for name, (caption, confidence) in result.captions.items()
    ]
    lines = "".join(json_text(row) + "\n" for row in rows)
    write_text(folder / f"{prefix}predictions.jsonl", lines)


def read_folder(images: Path, text: Path, split: str) -> Dataset:
    """Photos and captions of which a split is to be scored; the split "all" is every photo.

    Training photos count as such though their files are elsewhere. Raises `CaptioningError` as
    `read_dataset`, and when the split is empty.
    """
    dataset = read_dataset(images, text, needed=() if split == ALL else (split,))
    dataset.listed[ALL] = dataset.photos
    dataset.splits[ALL] = [name for name in dataset.photos if dataset.captions.get(name)]
    train = dataset.listed.get("train", [])
    dataset.splits["train"] = [name for name in train if dataset.captions.get(name)]
    split_photos(dataset.splits, split)
    return dataset


def encode_folder(
    captioner: Captioner, dataset: Dataset, split: str, scratch: Path, views: int
) -> Prepared:
    """Encode the photos of a split, as many views of each, into the folder `scratch`.

    Raises `CaptioningError` when none of them can be read.
    """
    names = dataset.splits[split]
    features = extract_features(captioner.encoder, dataset.images, names, scratch, views=views)
    if not features.vectors:
        name, reason = next(iter(features.failed.items()))
        raise CaptioningError(
            f"none of the {len(names):,} photos of the {split} split can be read: {name}: {reason}"
        )
    features = read_features(scratch)  # with its grids
    kept = [name for name in names if name in features.vectors]
    missing = {split: [name for name in dataset.listed[split] if name not in features.vectors]}
    splits = {**dataset.splits, split: kept}
    return Prepared(dataset.captions, splits, captioner.bundle.tokenizer, features, missing)


def check_encoder_fits(captioner: Captioner, prepared: Prepared) -> None:
    """Raise `CaptioningError` when the vectors were made by another encoder than the model's."""
    made_by, wanted = prepared.features.made_by, captioner.bundle.encoder
    for key in wanted:
        if made_by.get(key) != wanted[key]:
            raise CaptioningError(
                f"the vectors were made with {key} {made_by.get(key)!r}, but the model in "
                f"{captioner.bundle.folder} was trained with {wanted[key]!r}"
            )


def split_photos(splits: dict[str, list[str]], split: str) -> list[str]:
    """The photos of a split; raises `CaptioningError` when there are none."""
    names = splits.get(split) or []
    if not names:
        known = ", ".join(name for name, photos in splits.items() if photos)
        raise CaptioningError(f"the {split} split is empty; there are photos in: {known}")
    return names


def refuse_overlap(
    names: Iterable[str], split: str, folder: Path, train: list[str],
    contents: dict[str, str] | None = None,
) -> None:
    """Raise `CaptioningError` with the list when photos to score were trained on.

    train: the training photos of the data at hand; the model's own list counts as well, and for
    the split "all", which holds them, alone, if there is one. contents: SHA-256 of photos, by
    which one is known under another name.
    """
    names, contents = set(names), contents or {}
    own = trained_on(folder, names, contents)
    shared = own or set()
    if own is None or split != ALL:
        known = {contents[name] for name in train if name in contents}
        shared |= names & set(train) | {n for n in names if contents.get(n) in known}
    if shared:
        raise CaptioningError(
            f"{len(shared):,} photos of the {split} split were trained on: "
            f"{_some(sorted(shared))}; scores on them mean little; "
            "--allow-overlap scores them all the same"
        )


def training_captions(captioner: Captioner, prepared: Prepared) -> list[str]:
    """The captions that a model was trained on, if the data at hand are those; else none."""
    train = prepared.splits.get("train", [])
    own = trained_on(captioner.bundle.folder, train, prepared.features.contents)
    if own is not None and len(own) < len(train):
        return []
    return [row for name in train for row in prepared.captions[name]]


def _some(names: list[str]) -> str:
    more = f", and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


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


def table(scores: Scores, intervals: dict[str, list[float]]) -> dict[str, dict[str, Any]]:
    """Each score with its 95% interval, as plain values."""
    return {
        name: {"value": round(value, 2), "interval": [round(v, 2) for v in intervals[name]]}
        for name, value in scores.corpus.items()
    }
