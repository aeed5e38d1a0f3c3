"""A model's captions of photos, from their stored vectors and grids."""

from typing import Any

import numpy as np

from captioning.data.prepared import Prepared
from captioning.inference.captioner import Captioner
from captioning.inference.model_folder import check_vectors_fit

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
) -> tuple[np.ndarray, np.ndarray | None]:
    """The captioner's inputs: vectors, float32 (photos, D), and grids, or None if it reads none.

    Grids are float16 (photos, views, regions, D). Raises `CaptioningError` where they, or some
    of the views, are missing.
    """
    vectors = prepared.features.matrix(names)
    if not captioner.reads_grids:
        return vectors, None
    rows = prepared.features.grid_rows(names, views)[:, :views]  # (photos, views)
    grids = prepared.features.grids
    assert grids is not None  # or `grid_rows` has raised
    return vectors, grids[rows]


def check_encoder_fits(captioner: Captioner, prepared: Prepared) -> None:
    """Raise `CaptioningError` when the vectors were made by another encoder than the model's."""
    check_vectors_fit(captioner.trained_model, prepared.features.made_by)
