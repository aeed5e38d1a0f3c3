"""A decoder ready to be trained: built for the data, and compiled with its optimizer."""

import keras
import numpy as np

from captioning.backend import uses_xla
from captioning.data.prepared import Prepared
from captioning.decoders.build import build_decoder
from captioning.decoders.kinds import READ_GRIDS, Architecture
from captioning.training.batches import grids_of
from captioning.training.losses import WordLoss
from captioning.training.settings import TrainingSettings

PHOTOS_TO_STANDARDISE = 1000
"""The mean and variance of grids are taken over so many photos: 100,000 regions are enough."""

VECTORS_TO_STANDARDISE = 50_000
"""The same for vectors: 400 MB of Xception's."""


def new_model(prepared: Prepared, settings: TrainingSettings) -> keras.Model:
    """An untrained decoder that standardises its input by the training photos' vectors or grids.

    Raises `CaptioningError` when the decoder reads grids and there are none.
    """
    names = prepared.splits["train"]
    if settings.decoder in READ_GRIDS:
        # The photos themselves (the first view). Sorted: the file is then read from front to back.
        rows = prepared.features.grid_rows(names[:PHOTOS_TO_STANDARDISE])[:, 0]
        photos = grids_of(prepared.features)[np.sort(rows)].astype(np.float32)  # (P, regions, D)
    else:
        photos = prepared.features.matrix(names[:VECTORS_TO_STANDARDISE])  # (P, D)
    architecture = Architecture(settings.decoder, settings.width, settings.dropout, settings.depth)
    model = build_decoder(architecture, photos.shape[1:], prepared.tokenizer.size, prepared.longest)
    model.get_layer("standardise").adapt(photos)
    return model


def compile_for_training(model: keras.Model, settings: TrainingSettings, steps: int = 1) -> None:
    """Compile the model with its loss and Adam. steps: batches an epoch, for the cosine schedule.

    Adam: Kingma & Ba 2014, https://arxiv.org/abs/1412.6980, with decoupled weight decay:
    Loshchilov & Hutter 2017, https://arxiv.org/abs/1711.05101.
    """
    rate = settings.learning_rate
    if settings.schedule == "cosine":
        warm_up = round(settings.warm_up * steps)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0 if warm_up else rate,
            # At least one step: a training may have fewer epochs than its warm-up.
            max(1, settings.epochs * steps - warm_up),
            warmup_target=rate if warm_up else None,
            warmup_steps=warm_up,
        )
    model.compile(
        # None, since Keras would treat 0.0 as decay and do its work for nothing.
        optimizer=keras.optimizers.Adam(rate, weight_decay=settings.weight_decay or None),
        loss=WordLoss(settings.smoothing),
        jit_compile=uses_xla(),
    )
