"""What a model says of a split, its scores, and what else a reader of scores should know."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from captioning.bundle import trained_on
from captioning.captioner import Captioner
from captioning.dataset import read_dataset
from captioning.errors import CaptioningError
from captioning.extraction import extract_features
from captioning.files import write_json, write_text
from captioning.prepare import Prepared
from captioning.scoring import TOKENISATION, Scores, has_java, score_captions
from captioning.store import read_features

PHOTOS_AT_ONCE = 250
"""So many photos' grids are in memory while a split is captioned."""


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
            lines.append(f"fewer than the split has: {about['missing photos']:,} photos missing")
        against = about.get("against")
        if against:
            lines.append(f"{'':10} {'score':>6}   95% interval     minus {against['model']}")
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
    train = [row for name in prepared.splits.get("train", []) for row in prepared.captions[name]]
    about = {
        "split": split,
        "photos": len(names),
        "decoder": str(captioner.settings(**decoding)),
        "tokenisation": TOKENISATION,
        "scores": table(scores, scores.intervals()),
        "language": describe_language(said, references, train),
    }
    if prepared.missing.get(split):
        about["missing photos"] = len(prepared.missing[split])
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
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_text(folder / f"{prefix}predictions.jsonl", lines)


def encode_folder(
    captioner: Captioner, images: Path, text: Path, split: str, scratch: Path, **decoding: Any
) -> Prepared:
    """Read photos and captions and encode the photos of a split into the folder `scratch`.

    As many views of each as decoding wants. The split "all" is every photo with captions. Raises
    `CaptioningError` as `read_dataset`.
    """
    dataset = read_dataset(images, text, needed=() if split == "all" else (split,))
    dataset.splits["all"] = [name for name in dataset.photos if dataset.captions.get(name)]
    names = split_photos(dataset.splits, split)
    extract_features(
        captioner.encoder, images, names, scratch, views=captioner.settings(**decoding).views
    )
    features = read_features(scratch)
    kept = [name for name in names if name in features.vectors]
    listed = dataset.listed.get(split, names)
    missing = {split: [name for name in listed if name not in features.vectors]}
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


def refuse_overlap(names: Iterable[str], split: str, folder: Path, train: list[str]) -> None:
    """Raise `CaptioningError` with the list when photos to score were trained on.

    train: the training photos of the data at hand; the model's own list counts as well.
    """
    names = set(names)
    shared = sorted(names & set(train) | trained_on(folder, names))
    if shared:
        more = f", and {len(shared) - 10:,} more" if len(shared) > 10 else ""
        raise CaptioningError(
            f"{len(shared):,} photos of the {split} split were trained on: "
            f"{', '.join(shared[:10])}{more}; scores on them mean little; "
            "--allow-overlap scores them all the same"
        )


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
