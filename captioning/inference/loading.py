"""From models' folders to a captioner: here Keras' models and the encoder are put together."""

from functools import partial
from pathlib import Path

from captioning.errors import CaptioningError
from captioning.inference.caption_decoder import CaptionDecoder
from captioning.inference.captioner import Captioner
from captioning.inference.description import read_ensemble_description
from captioning.inference.familiarity import read_familiarity
from captioning.inference.trained_model import TrainedModel, load_trained_model
from captioning.vision.encoders import Encoder, load_encoder


def load(*folders: str | Path, weights: str = "imagenet") -> Captioner:
    """The captioner of a model's folder, or of several that decide together by the mean of their
    probabilities.

    weights: of the encoder, as in `load_encoder`; they are read at the first photo. Raises
    `CaptioningError` when a part of a folder is missing or doesn't fit the others, and for models
    of different encoders or vocabularies.
    """
    read_ensemble_description(folders)  # what doesn't fit is told before Keras is imported
    models = [load_trained_model(Path(folder)) for folder in folders]
    from captioning.decoders.ensemble import Ensemble  # imports Keras

    decoder = CaptionDecoder(models[0], Ensemble([model.model for model in models]))
    familiarity = read_familiarity(models[0].folder, models[0].encoder["vector_size"])
    return Captioner(decoder, partial(load_encoder_of, models[0], weights), familiarity)


def load_encoder_of(trained_model: TrainedModel, weights: str) -> Encoder:
    """The encoder that the model was trained with.

    weights: as in `load_encoder`. Raises `CaptioningError` when they are others than in training.
    """
    signature = trained_model.encoder
    encoder = load_encoder(signature["name"], weights)
    if encoder.fingerprint != signature["weights"]:
        raise CaptioningError(
            f"{trained_model.folder} was trained with other weights of {signature['name']} "
            f"(fingerprint {signature['weights']}) than {weights} holds ({encoder.fingerprint}); "
            "name the right file with --weights"
        )
    return encoder
