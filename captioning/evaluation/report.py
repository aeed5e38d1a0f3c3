"""A page about a model's captions of a split, for people: one file, no network, all inside.

Scores beside published ones, the training, photos with their captions, whether the model knows
when it is right, objects made up and passed over, and where the decoder looks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from captioning.data.prepared import Prepared
from captioning.evaluation.calibration import bin_by_confidence, rank_correlation
from captioning.evaluation.charts import draw_calibration, draw_scores, see_through, svg_of
from captioning.evaluation.evaluation import Evaluation
from captioning.evaluation.objects import find_object_errors, object_words
from captioning.evaluation.predictions import read_inputs
from captioning.evaluation.scores import score_captions
from captioning.files.text import write_text
from captioning.inference.captioner import Captioner
from captioning.pictures.attention_maps import overlay_attention, region_name
from captioning.pictures.figures import draw_curves
from captioning.training.history import read_history
from captioning.vision.images import UnreadableImageError, as_data, open_image

TEMPLATE = "report.html"


PHOTOS_SHOWN = 6
"""So many of the best, of the median and of the worst."""


WORDS_SHOWN = 12


THUMBNAIL, TILE = 360, 200
"""Pixels of the longer side of a photo, and of a photo under a word's attention."""


@dataclass(frozen=True)
class Published:
    """Scores that others report for Flickr8k's test split. short: for a table's narrow head."""

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


def write_report(
    result: Evaluation,
    captioner: Captioner,
    prepared: Prepared,
    models: Sequence[Path],
    photos: Path,
    path: Path,
) -> None:
    """Write the page of an evaluation to `path`.

    models: the folders whose histories are drawn; photos: the folder of the photos, which may be
    incomplete or missing: what lacks its photo is shown without.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["score"] = lambda value: "–" if value is None else f"{value:.1f}"
    environment.filters["percent"] = lambda value: f"{100 * value:.0f}%"
    album = Album(photos)
    page = environment.get_template(TEMPLATE).render(
        about=result.about,
        title=" + ".join(folder.name for folder in models),
        scores=_scores(result),
        trainings=[_training(folder, number) for number, folder in enumerate(models)],
        groups=_groups(result, album),
        calibration=_calibration(result),
        objects=_objects(result, prepared),
        words_shown=WORDS_SHOWN,
        shares=("distinct captions", "word for word in training"),
        attention=_attention(result, captioner, prepared, album),
        missing=sorted(album.missing),
        photos_folder=photos,
    )
    write_text(path, page)


class Album:
    """Photos of a folder as pictures inside a page; remembers which were missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = Path(folder)
        self.missing: set[str] = set()

    def open(self, name: str, longest: int) -> Image.Image | None:
        """The photo, its longer side at most `longest` pixels; None where it can't be read."""
        try:
            photo = open_image(self._folder / name)
        except UnreadableImageError:
            self.missing.add(name)
            return None
        photo.thumbnail((longest, longest))
        return photo

    def data(self, name: str, longest: int) -> str | None:
        """The photo of `open` as a `data:` address."""
        photo = self.open(name, longest)
        return photo and as_data(photo)


def people_scores(references: dict[str, list[str]]) -> dict[str, float] | None:
    """What people reach: each photo's references in turn against its others, the mean.

    None where not all photos have two references.
    """
    rounds = min(map(len, references.values()))
    if rounds < 2:
        return None
    found = []
    for turn in range(rounds):
        said = {name: rows[turn] for name, rows in references.items()}
        rest = {name: rows[:turn] + rows[turn + 1 :] for name, rows in references.items()}
        found.append(score_captions(said, rest).corpus)
    return {score: float(np.mean([one[score] for one in found])) for score in found[0]}


def _scores(result: Evaluation) -> dict[str, Any]:
    """The table and the chart: this model's scores, people's on the same photos, published."""
    people = people_scores(result.references)
    others = [(p.short, p.scores) for p in PUBLISHED]
    if people:
        others.append(("people, here", people))
    rows = [
        {
            "name": name,
            **row,
            "people": people and people.get(name),
            "published": [p.scores.get(name) for p in PUBLISHED],
        }
        for name, row in result.about["scores"].items()
    ]
    chart = svg_of(
        draw_scores(result.about["scores"], others),
        "scores",
        "Each score of this model with its interval, and published scores; the table has them all",
    )
    return {"rows": rows, "people": people, "published": PUBLISHED, "chart": chart}


def _training(folder: Path, number: int) -> dict[str, Any]:
    history = read_history(folder)
    if not history:
        return {"name": folder.name, "chart": None, "rows": []}
    ends = ", ".join(
        f"{key} from {history[0][key]:.3g} to {history[-1][key]:.3g}"
        for key in history[0]
        if key not in ("epoch", "seconds", "learning_rate")
    )
    label = f"Training of {folder.name} over {len(history)} epochs: {ends}"
    chart = svg_of(see_through(draw_curves(history)), f"training{number}", label)
    return {"name": folder.name, "chart": chart, "rows": history}


def _groups(result: Evaluation, album: Album) -> list[dict[str, Any]]:
    """The best, the median and the worst photos by their own CIDEr."""
    return [
        {
            "name": name,
            "photos": [
                {
                    "name": photo,
                    "data": album.data(photo, THUMBNAIL),
                    "caption": result.captions[photo][0],
                    "confidence": math.exp(result.captions[photo][1]),
                    "cider": result.scores.cider[photo],
                    "references": result.references[photo],
                }
                for photo in photos
            ],
        }
        for name, photos in _ranked(result).items()
    ]


def _ranked(result: Evaluation, count: int = PHOTOS_SHOWN) -> dict[str, list[str]]:
    cider = result.scores.cider
    names = sorted(cider, key=lambda name: (-cider[name], name))
    start = max(0, (len(names) - count) // 2)
    return {
        "Best": names[:count],
        "Median": names[start : start + count],
        "Worst": names[: -count - 1 : -1],
    }


def _calibration(result: Evaluation) -> dict[str, Any]:
    cider = result.scores.cider
    confidences = np.array([confidence for _, confidence in result.captions.values()])
    scores = np.array([cider[name] for name in result.captions])
    bins = bin_by_confidence(confidences, scores)
    label = "Mean CIDEr by confidence: " + "; ".join(
        f"{100 * one.confidence:.0f}% confident, CIDEr {one.score:.0f}" for one in bins
    )
    chart = svg_of(draw_calibration(bins), "calibration", label)
    return {"bins": bins, "chart": chart, "correlation": rank_correlation(confidences, scores)}


def _objects(result: Evaluation, prepared: Prepared) -> Any:
    said = {name: caption for name, (caption, _) in result.captions.items()}
    objects = object_words(row for rows in prepared.captions.values() for row in rows)
    return find_object_errors(said, result.references, objects)


def _attention(
    result: Evaluation, captioner: Captioner, prepared: Prepared, album: Album
) -> list[dict[str, Any]] | None:
    """Photos with a tile a word; None for models that don't look at parts of a photo."""
    if not captioner.reads_grids:
        return None
    ranked = _ranked(result)
    names = dict.fromkeys([ranked["Best"][0], *ranked["Median"][:2], ranked["Worst"][0]])
    photos = {name: album.open(name, TILE) for name in names}
    names = [name for name, photo in photos.items() if photo]
    if not names:
        return []
    captions = [result.captions[name][0] for name in names]
    looks = captioner.decoder.attention(*read_inputs(captioner, prepared, names), captions)
    return [
        {
            "name": name,
            "caption": caption,
            "reference": result.references[name][0],
            "data": as_data(photos[name]),
            "tiles": [
                {
                    "word": word,
                    "place": region_name(shares),
                    "data": as_data(overlay_attention(photos[name], shares)),
                }
                for word, shares in zip(caption.split(), own, strict=True)
            ],
        }
        for name, caption, own in zip(names, captions, looks, strict=True)
    ]
