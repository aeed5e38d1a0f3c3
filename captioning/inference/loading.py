"""From models' folders to a captioner, run by ONNX Runtime or by Keras."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from captioning.decoders.ensemble import Ensemble, ModelSteps
from captioning.decoders.kinds import PREFIX
from captioning.errors import CaptioningError, command_line
from captioning.inference.caption_decoder import CaptionDecoder
from captioning.inference.captioner import Captioner
from captioning.inference.choosing import Judges
from captioning.inference.critic import read_critic
from captioning.inference.description import check_ensemble
from captioning.inference.familiarity import read_familiarity
from captioning.inference.model_folder import (
    ModelFolder,
    check_vectors_fit,
    is_exported,
    load_onnx_steps,
    read_model_folder,
)
from captioning.inference.models import find_model
from captioning.vision.encoders import UNKNOWN_WEIGHTS, Encoder, PhotoEncoder
from captioning.vision.onnx_encoder import load_onnx_encoder

if TYPE_CHECKING:
    from captioning.inference.neighbours import Neighbours

RUNTIMES = ("onnx", "keras")


def load(
    *folders: str | Path,
    weights: str = "imagenet",
    runtime: str | None = None,
    neighbours: str | Path | None = None,
) -> Captioner:
    """The captioner of a model's folder, or of several that decide together by the mean of their
    probabilities.

    folders: also names of models that come with the project ("flickr8k"); weights: of the encoder,
    as in `load_encoder`; they are read at the first photo. runtime: as in `choose_runtime`.
    neighbours: a folder of prepared data, whose training photos' captions choose among a beam's.
    Raises `CaptioningError` when a part of a folder is missing or doesn't fit the others, and for
    models of different encoders or vocabularies.
    """
    models = [read_model_folder(find_model(Path(folder))) for folder in folders]
    # What doesn't fit is told before Keras is imported.
    check_ensemble({str(model.folder): model.description for model in models})
    runtime = choose_runtime(models, weights, runtime)
    near = None if neighbours is None else read_neighbours(models[0], Path(neighbours))
    return load_onnx(models, near) if runtime == "onnx" else load_keras(models, weights, near)


def read_neighbours(model: ModelFolder, data: Path) -> "Neighbours":
    """The training photos of prepared data.

    Raises `CaptioningError` as `read_prepared`, and for vectors of another encoder than the
    model's.
    """
    # Imported where it's asked for: most photos are captioned without it.
    from captioning.data.prepared import read_prepared
    from captioning.inference.neighbours import Neighbours

    prepared = read_prepared(data)
    try:
        check_vectors_fit(model, prepared.features.made_by)
    except CaptioningError as error:
        raise CaptioningError(
            f"--neighbours {data}: {error}; make them with: {command_line('features')} --like "
            f"{model.folder}"
        ) from None
    return Neighbours(prepared)


def choose_runtime(models: Sequence[ModelFolder], weights: str, runtime: str | None) -> str:
    """What runs these models: "onnx" or "keras".

    runtime: what was asked for. With None it's ONNX Runtime where all of them were exported, which
    starts ten times as fast; weights that aren't "imagenet" are read by Keras. Raises
    `CaptioningError` for "onnx" where that can't be.
    """
    missing = [str(model.folder) for model in models if not is_exported(model)]
    if runtime != "onnx":
        return runtime or ("keras" if missing or weights != "imagenet" else "onnx")
    if missing:
        raise CaptioningError(
            f"{missing[0]} lacks the graphs for ONNX Runtime; write them with: "
            f"{command_line('export')} {missing[0]}"
        )
    if weights != "imagenet":
        raise CaptioningError(f"--weights {weights} is read by Keras; leave --runtime onnx out")
    return "onnx"


def load_onnx(models: Sequence[ModelFolder], neighbours: "Neighbours | None" = None) -> Captioner:
    """The captioner of exported models. Raises `CaptioningError` as `load` does."""
    first = models[0]
    ensemble = Ensemble([load_onnx_steps(model) for model in models])
    load_encoder = partial(load_onnx_encoder, first.encoder, first.folder)
    return _captioner(first, ensemble, load_encoder, neighbours, in_threads=True)


def load_keras(
    models: Sequence[ModelFolder], weights: str, neighbours: "Neighbours | None" = None
) -> Captioner:
    """The captioner of Keras' models. weights, and what is raised, as in `load`."""
    from captioning.backend import import_keras

    import_keras()
    ensemble = Ensemble([_keras_steps(model) for model in models])
    load_encoder = partial(load_encoder_of, models[0], weights)
    return _captioner(models[0], ensemble, load_encoder, neighbours)


def _keras_steps(about: ModelFolder) -> ModelSteps:
    if about.description["decoder"] == PREFIX:
        from captioning.inference.other_models import load_prefix_steps

        return load_prefix_steps(about)
    from captioning.decoders.build import steps_of
    from captioning.inference.trained_model import load_trained_model

    return steps_of(load_trained_model(about.folder).model)


def _captioner(
    model: ModelFolder,
    ensemble: Ensemble,
    load_encoder: Callable[[], PhotoEncoder],
    neighbours: "Neighbours | None",
    in_threads: bool = False,
) -> Captioner:
    familiarity = read_familiarity(model.folder, model.encoder["vector_size"])
    critic = read_critic(model.folder, model.encoder["vector_size"], model.tokenizer.size)
    decoder = CaptionDecoder(model, ensemble, Judges(critic, neighbours))
    return Captioner(decoder, load_encoder, familiarity, in_threads)


def load_encoder_of(model: ModelFolder, weights: str) -> Encoder:
    """The encoder that the model was trained with, run by Keras.

    weights: as in `load_encoder`. Raises `CaptioningError` when they are others than in training.
    """
    from captioning.vision.encoders import load_encoder

    signature = model.encoder
    encoder = load_encoder(signature["name"], weights)
    if signature["weights"] not in (encoder.fingerprint, UNKNOWN_WEIGHTS):
        raise CaptioningError(
            f"{model.folder} was trained with other weights of {signature['name']} "
            f"(fingerprint {signature['weights']}) than {weights} holds ({encoder.fingerprint}); "
            "name the right file with --weights"
        )
    return encoder
