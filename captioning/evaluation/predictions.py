"""A model's captions of photos, from their stored vectors and grids."""

from typing import Any

import numpy as np

from captioning.data.prepared import Prepared
from captioning.decoders.ensemble import Seen
from captioning.inference.captioner import Captioner
from captioning.inference.model_folder import ModelFolder, check_vectors_fit, misfit
from captioning.vision.features import Features

PHOTOS_AT_ONCE = 250
"""The grids of so many photos are in memory while a split is captioned."""


def caption_photos(
    captioner: Captioner, prepared: Prepared, names: list[str], **decoding: Any
) -> dict[str, tuple[str, float]]:
    """Caption and confidence (mean log-probability a word) of photos, by file name.

    Raises `CaptioningError` when the vectors were made by another encoder than the model's.
    """
    check_encoder_fits(captioner, prepared)
    views = captioner.decoder.settings(**decoding).views
    captions: dict[str, tuple[str, float]] = {}
    for start in range(0, len(names), PHOTOS_AT_ONCE):
        some = names[start : start + PHOTOS_AT_ONCE]
        # Slice by slice: the grids of a whole split don't fit into memory.
        found = captioner.decoder.decode(*read_inputs(captioner, prepared, some, views), **decoding)
        captions |= {
            name: (captioner.decoder.text(best[0]), best[0].score)
            for name, best in zip(some, found, strict=True)
        }
    return captions


def read_inputs(
    captioner: Captioner, prepared: Prepared, names: list[str], views: int = 1
) -> tuple[np.ndarray, np.ndarray | None, list[Seen]]:
    """The captioner's inputs: vectors, float32 (photos, D), grids, or None if it reads none, and
    the same of its other encoders.

    Grids are float16 (photos, views, regions, D). Raises `CaptioningError` where they, or some
    of the views, are missing, or the vectors of an encoder.
    """
    first, *others = (
        _seen(features_of(encoder.model, prepared), names, views if encoder.reads_grids else 0)
        for encoder in captioner.encoders
    )
    return *first, others


def _seen(features: Features, names: list[str], views: int) -> Seen:
    vectors = features.matrix(names)
    if not views:
        return Seen(vectors, None)
    rows = features.grid_rows(names, views)[:, :views]  # (photos, views)
    assert features.grids is not None  # or `grid_rows` has raised
    return Seen(vectors, features.grids[rows])


def features_of(model: ModelFolder, prepared: Prepared) -> Features:
    """The vectors that the model's encoder made, of all that there are of the photos.

    Raises `CaptioningError` where there are none.
    """
    for features in (prepared.features, *prepared.others):
        if not misfit(model, features.made_by):
            return features
    check_vectors_fit(model, prepared.features.made_by)
    raise AssertionError("what doesn't fit has been refused")


def check_encoder_fits(captioner: Captioner, prepared: Prepared) -> None:
    """Raise `CaptioningError` where the vectors of one of the captioner's encoders are missing."""
    for encoder in captioner.encoders:
        features_of(encoder.model, prepared)
