"""The report: one HTML page about a model's captions of a split, without any other file.

Scores beside published ones, the training, photos with their captions, calibration, hallucinated
and missed objects, and attention. `report.html` is the template; here is what fills it.
"""

import math
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from captioning.data.prepared import Prepared
from captioning.evaluation.album import Album
from captioning.evaluation.calibration import bin_by_confidence, rank_correlation
from captioning.evaluation.charts import SIZE, draw_calibration, draw_scores, figure_to_svg
from captioning.evaluation.evaluation import Evaluation
from captioning.evaluation.predictions import read_inputs
from captioning.evaluation.published import published_beside
from captioning.evaluation.scores import score_captions
from captioning.evaluation.summary_text import left_out, photos_in_words
from captioning.evaluation.truth import (
    RATES,
    by_count,
    find_truth,
    mark_wrong_words,
    words_of_kinds,
)
from captioning.files.text import read_text, write_text
from captioning.inference.captioner import Captioner
from captioning.pictures.attention_maps import overlay_attention, region_name
from captioning.pictures.curves import draw_curves
from captioning.training.history import BEFORE, HISTORY, read_history
from captioning.vision.images import as_data

TEMPLATE, SCRIPT = "report.html", "report.js"

PHOTOS_SHOWN = 6
"""So many of the best, of the median and of the worst photos."""


WORDS_SHOWN = 12
"""So many of the wrong and of the missed words of a kind, and of its confusions."""


ATTENTION_SHOWN = 4
"""The best photo, two median ones and the worst."""


THUMBNAIL, TILE, SMALL = 360, 200, 96
"""Pixels of the longer side of a photo, of a tile of attention, of a photo in the table of all."""


MOST_SMALL = 2_000
"""For more photos the table of all has no pictures: they would make the page 10 MB."""


def write_report(
    result: Evaluation,
    captioner: Captioner,
    prepared: Prepared,
    models: Sequence[Path],
    photos: Path,
    path: Path,
) -> None:
    """Write the report of an evaluation to `path`.

    models: the folders whose histories are drawn; photos: the folder of the photos, which may be
    incomplete or missing: captions are then shown without their photos. Raises `CaptioningError`
    for a table of epochs that can't be read, or when the page can't be written.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,  # a variable that is misspelt is an error, not an empty place
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["score"] = lambda value: "–" if value is None else f"{value:.1f}"
    environment.filters["percent"] = lambda value: f"{100 * value:.0f}%"
    environment.filters["photos"] = photos_in_words
    environment.filters["signed"] = lambda value: "–" if value is None else f"{value:+.1f}"
    album = Album(photos)
    # With a browser's ends of lines: what its hash is of.
    script = "\n".join(
        read_text(Path(__file__).with_name(SCRIPT), "the report's script").splitlines()
    )
    rows = _rows(result, album)
    page = environment.get_template(TEMPLATE).render(
        summary=result.summary,
        left_out=left_out(result.summary),
        title=" + ".join(folder.name for folder in models),
        scores=_scores(result),
        trainings=[_training(folder, number) for number, folder in enumerate(models)],
        groups=_groups(result, _ranked(result), album),
        ranked_by=_measure(result),
        most_references=max(map(len, result.references.values())),
        changed=_groups(result, _changed(result), album),
        calibration=_calibration(result),
        truth=_truth(result),
        rates=_rates(result),
        shares=("distinct captions", "word for word in training"),
        attention=_attention(result, captioner, prepared, album),
        rows=rows,
        script=script,
        script_hash=f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}",
        missing=sorted(album.missing),  # after the groups and the attention have opened photos
        photos_folder=photos,
    )
    write_text(path, page)


def human_scores(references: dict[str, list[str]]) -> dict[str, float] | None:
    """Scores of captions by people: each photo's references in turn against its others, the mean.

    None unless all photos have two references.
    """
    rounds = min(map(len, references.values()))
    if rounds < 2:
        return None
    found = []
    for turn in range(rounds):
        held_out = {name: rows[turn] for name, rows in references.items()}
        rest = {name: rows[:turn] + rows[turn + 1 :] for name, rows in references.items()}
        found.append(score_captions(held_out, rest).corpus)
    known = [score for score in found[0] if all(score in one for one in found)]
    return {score: float(np.mean([one[score] for one in found])) for score in known}


def _scores(result: Evaluation) -> dict[str, Any]:
    """The table and the chart: scores of this model, of people on the same photos, of papers."""
    people = human_scores(result.references)
    published = published_beside(result.references)
    others = [(p.short, p.scores) for p in published]
    if people:
        others.append(("people, here", people))
    # None where a score is not known: people have no METEOR here, papers lack some scores.
    rows = [
        {
            "name": name,
            **row,
            "people": people and people.get(name),
            "published": [p.scores.get(name) for p in published],
        }
        for name, row in result.summary["scores"].items()
    ]
    chart = figure_to_svg(
        draw_scores(result.summary["scores"], others),
        "scores",
        "Each score of this model with its interval, and others' scores; the table has them all",
    )
    return {"rows": rows, "people": people, "published": published, "chart": chart}


def _training(folder: Path, number: int) -> dict[str, Any]:
    """The curves and the rows of a model's training, after those of the model it started from.

    number: of the model, for the charts' ids.
    """
    parts: list[dict[str, Any]] = []
    for file in (BEFORE, HISTORY):
        history = read_history(folder, file)
        if not history:
            continue
        # Read aloud in place of the chart: each curve's first and last value.
        changes = ", ".join(
            f"{key} from {history[0][key]:.3g} to {history[-1][key]:.3g}"
            for key in history[0]
            if key not in ("epoch", "seconds", "learning_rate")
        )
        label = f"Training of {folder.name} over {len(history)} epochs: {changes} ({file})"
        curves = draw_curves(history, size=SIZE)
        chart = figure_to_svg(curves, f"training{number}-{len(parts)}", label)
        # An epoch of an older version may lack a column: a dict has the columns in their order.
        columns = list(dict.fromkeys(key for row in history for key in row))
        parts.append({"file": file, "chart": chart, "rows": history, "columns": columns})
    return {"name": folder.name, "parts": parts}


def _groups(result: Evaluation, ranked: dict[str, list[str]], album: Album) -> list[dict[str, Any]]:
    """Groups of photos, {name: file names}, with all that their cards show."""
    kinds = words_of_kinds(result.objects)
    return [
        {"name": name, "photos": [_card(result, photo, kinds, album) for photo in photos]}
        for name, photos in ranked.items()
        if photos
    ]


def _card(
    result: Evaluation,
    photo: str,
    kinds: dict[str, dict[str, str]],
    album: Album,
    longest: int = THUMBNAIL,
) -> dict[str, Any]:
    """What is shown of a photo; with `compare`, the other model's caption too.

    longest: of its picture's sides, in pixels; 0 for no picture.
    """
    caption, confidence = result.captions[photo]
    references, other = result.references[photo], result.against
    return {
        "name": photo,
        "data": album.data(photo, longest) if longest else None,
        "words": mark_wrong_words(caption, references, kinds),
        # of the mean log-probability: the geometric mean of the probabilities
        "confidence": math.exp(confidence),
        "cider": result.scores.cider.get(photo),
        "references": references,
        "other": other and mark_wrong_words(other.captions[photo][0], references, kinds),
        "other_cider": other and other.scores.cider.get(photo),
    }


def _rows(result: Evaluation, album: Album) -> list[dict[str, Any]]:
    """The row of each photo in the table of all, by name."""
    kinds, rows = words_of_kinds(result.objects), []
    for name in sorted(result.captions):
        card = _card(result, name, kinds, album, SMALL if len(result.captions) <= MOST_SMALL else 0)
        scores = (card["cider"], card["other_cider"])
        known = all(score is not None for score in scores)
        wrong = sum(is_wrong for _, is_wrong in card["words"])
        rows.append({**card, "wrong": wrong, "change": scores[0] - scores[1] if known else None})
    return rows


def _measure(result: Evaluation) -> str:
    """The score that photos are ranked by: CIDEr, which one photo alone doesn't have, or ROUGE-L.

    "" if neither could be computed.
    """
    return next((name for name in ("CIDEr", "ROUGE-L") if name in result.scores.own), "")


def _ranked(result: Evaluation, count: int = PHOTOS_SHOWN) -> dict[str, list[str]]:
    """The names of the photos of each group; no photo is in two, so few photos are one group."""
    scores = result.scores
    own = scores.own.get(_measure(result), np.zeros(len(scores.names)))
    by_name = dict(zip(scores.names, own.tolist(), strict=True))
    names = sorted(by_name, key=lambda name: (-by_name[name], name))
    if len(names) <= count:
        return {"From the best to the worst": names} if len(names) > 1 else {"The photo": names}
    count = min(count, len(names) // 3)
    start = (len(names) - count) // 2  # the median is in the middle of its group
    return {
        "Best": names[:count],
        "Median": names[start : start + count],
        "Worst": names[: -count - 1 : -1],
    }


def _changed(result: Evaluation, count: int = PHOTOS_SHOWN) -> dict[str, list[str]]:
    """The photos whose captions improved and worsened most against the other model's, by CIDEr."""
    if result.against is None:
        return {}
    own, other = result.scores.cider, result.against.scores.cider
    change = {name: own[name] - other[name] for name in own if name in other}
    names = sorted(change, key=lambda name: (-change[name], name))
    return {
        "Improved most": [name for name in names[:count] if change[name] > 0],
        "Worsened most": [name for name in names[: -count - 1 : -1] if change[name] < 0],
    }


def _calibration(result: Evaluation) -> dict[str, Any] | None:
    """The bins with their chart, and the rank correlation of confidence and CIDEr.

    None where there is no CIDEr, the same for all captions, or too few captions for two bins.
    """
    cider = result.scores.cider
    if not cider:
        return None
    # Both in the order of the captions: (photos,).
    confidences = np.array([confidence for _, confidence in result.captions.values()])
    scores = np.array([cider[name] for name in result.captions])
    bins = bin_by_confidence(confidences, scores)
    correlation = rank_correlation(confidences, scores)
    if len(bins) < 2 or math.isnan(correlation):
        return None
    label = "Mean CIDEr by confidence: " + "; ".join(
        f"{100 * one.confidence:.0f}% confident, CIDEr {one.score:.0f}" for one in bins
    )
    chart = figure_to_svg(draw_calibration(bins), "calibration", label)
    return {"bins": bins, "chart": chart, "correlation": correlation}


def _rates(result: Evaluation) -> list[str]:
    """The rates that any kind has; of one reference, "most" are the same as "any"."""
    several = any(len(rows) > 1 for rows in result.references.values())
    found = [rate for rate in RATES if any(rate in k for k in result.summary["truth"].values())]
    return [rate for rate in found if several or rate != "recall of most"]


def _truth(result: Evaluation) -> list[dict[str, Any]]:
    """Each kind: its rates, those of people, and tables of what was wrong, missed and confused."""
    people = _people_rates(result)
    kinds = []
    for kind, truth in result.truth.items():
        tables = {
            "wrong": [(w, n, truth.said[w]) for w, n in by_count(truth.wrong)],
            "missed": [(w, n, truth.expected[w]) for w, n in by_count(truth.missed)],
            "confused": [(said, right, n) for (said, right), n in by_count(truth.confused)],
        }
        kinds.append(
            {
                "name": kind,
                "rates": result.summary["truth"][kind],
                "people": people.get(kind, {}),
                **{name: rows[:WORDS_SHOWN] for name, rows in tables.items()},
            }
        )
    return kinds


def _people_rates(result: Evaluation) -> dict[str, dict[str, Any]]:
    """The rates of one caption by a person, the first reference, against the others."""
    references = result.references
    if min(map(len, references.values())) < 2:
        return {}
    firsts = {name: rows[0] for name, rows in references.items()}
    others = {name: rows[1:] for name, rows in references.items()}
    found = find_truth(firsts, others, result.objects)
    return {kind: truth.rates(resamples=1) for kind, truth in found.items()}


def _attention(
    result: Evaluation, captioner: Captioner, prepared: Prepared, album: Album
) -> list[dict[str, Any]] | None:
    """Photos with a tile for each word; None for models without attention."""
    if not captioner.decoder.attends:
        return None
    groups = list(_ranked(result).values())
    if len(groups) == 3:
        best, median, worst = groups
        chosen = [best[0], *median[:2], worst[0]]
    else:
        chosen = groups[0][:ATTENTION_SHOWN]
    opened = {name: album.open(name, TILE) for name in chosen}
    photos = {name: photo for name, photo in opened.items() if photo}
    if not photos:
        return []  # the template tells it from None
    names = list(photos)
    captions = [result.captions[name][0] for name in names]
    vectors, grids, others = read_inputs(captioner, prepared, names)
    looks = captioner.decoder.attention(vectors, grids, captions, others)
    return [
        {
            "name": name,
            "caption": caption,
            "reference": result.references[name][0],
            "data": as_data(photos[name]),
            "tiles": [
                {
                    "word": word,
                    "place": region_name(weights),
                    "data": as_data(overlay_attention(photos[name], weights)),
                }
                for word, weights in zip(caption.split(), own, strict=True)
            ],
        }
        for name, caption, own in zip(names, captions, looks or [], strict=True)
    ]
