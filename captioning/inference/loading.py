"""From models' folders to a captioner, run by ONNX Runtime or by Keras."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from captioning.decoders.ensemble import Ensemble, ModelSteps
from captioning.decoders.kinds import PREFIX
from captioning.errors import CaptioningError, command_line
from captioning.inference.caption_decoder import CaptionDecoder
from captioning.inference.captioner import Captioner, LazyEncoder
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
from captioning.vision.encoders import UNKNOWN_WEIGHTS, Encoder, PhotoEncoder, weights_for
from captioning.vision.onnx_encoder import load_onnx_encoder
from captioning.vision.own_weights import own_weights_of

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
    as in `load_encoder`; they are read at the first photo. Of several encoders a file is that of
    the one that has no weights of its own. runtime: as in `choose_runtime`, for the models of each
    encoder.
    neighbours: a folder of prepared data, whose training photos' captions choose among a beam's.
    Raises `CaptioningError` when a part of a folder is missing or doesn't fit the others, and for
    models of different vocabularies.
    """
    models = [read_model_folder(find_model(Path(folder))) for folder in folders]
    # What doesn't fit is told before Keras is imported.
    check_ensemble({str(model.folder): model.description for model in models})
    groups = _by_encoder(models)
    alone = len(groups) == 1
    runtimes = [
        choose_runtime(own, weights_for(own[0].encoder["name"], weights, alone), runtime)
        for own in groups
    ]
    near = None if neighbours is None else read_neighbours(models[0], Path(neighbours))
    running = [
        _run_by_onnx(own) if runs == "onnx" else _run_by_keras(own, weights, alone)
        for own, runs in zip(groups, runtimes, strict=True)
    ]
    return _captioner(running, near)


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
    return _captioner([_run_by_onnx(own) for own in _by_encoder(models)], neighbours)


def load_keras(
    models: Sequence[ModelFolder], weights: str, neighbours: "Neighbours | None" = None
) -> Captioner:
    """The captioner of Keras' models. weights, and what is raised, as in `load`."""
    groups = _by_encoder(models)
    return _captioner([_run_by_keras(own, weights, len(groups) == 1) for own in groups], neighbours)


class _Running(NamedTuple):
    """Models of one encoder, and what runs them."""

    models: list[ModelFolder]
    steps: list[ModelSteps]
    encoder: LazyEncoder
    in_threads: bool


def _by_encoder(models: Sequence[ModelFolder]) -> list[list[ModelFolder]]:
    """The models of each encoder, the first model's encoder first."""
    groups: list[list[ModelFolder]] = []
    for model in models:
        same = [own for own in groups if own[0].encoder == model.encoder]
        if same:
            same[0].append(model)
        else:
            groups.append([model])
    return groups


def _run_by_onnx(models: list[ModelFolder]) -> _Running:
    steps: list[ModelSteps] = [load_onnx_steps(model) for model in models]
    load_encoder = partial(load_onnx_encoder, models[0].encoder, models[0].folder)
    return _Running(models, steps, _lazy(models[0], steps, load_encoder), True)


def _run_by_keras(models: list[ModelFolder], weights: str, alone: bool) -> _Running:
    from captioning.backend import import_keras

    import_keras()
    steps = [_keras_steps(model) for model in models]
    own = weights_for(models[0].encoder["name"], weights, alone)
    load_encoder = partial(load_encoder_of, models[0], own)
    return _Running(models, steps, _lazy(models[0], steps, load_encoder), False)


def _lazy(
    model: ModelFolder, steps: Sequence[ModelSteps], load_encoder: Callable[[], PhotoEncoder]
) -> LazyEncoder:
    return LazyEncoder(model, any(one.reads_grids for one in steps), load_encoder)


def _keras_steps(about: ModelFolder) -> ModelSteps:
    if about.description["decoder"] == PREFIX:
        from captioning.inference.other_models import load_prefix_steps

        return load_prefix_steps(about)
    from captioning.decoders.build import steps_of
    from captioning.inference.trained_model import load_trained_model

    return steps_of(load_trained_model(about.folder).model)


def _captioner(groups: Sequence[_Running], neighbours: "Neighbours | None") -> Captioner:
    """The captioner of all that runs, a group for each encoder."""
    first = groups[0].models[0]
    familiarity = read_familiarity(first.folder, first.encoder["vector_size"])
    judges = replace(_critic([group.models for group in groups]), neighbours=neighbours)
    decoder = CaptionDecoder(first, Ensemble(*(group.steps for group in groups)), judges)
    encoders = [group.encoder for group in groups]
    return Captioner(decoder, encoders, familiarity, all(group.in_threads for group in groups))


def _critic(groups: Sequence[Sequence[ModelFolder]]) -> Judges:
    """The critic of the first model that has one. groups: the models of each encoder."""
    for place, own in enumerate(groups):
        for model in own:
            critic = read_critic(model.folder, model.encoder["vector_size"], model.tokenizer.size)
            if critic is not None:
                return Judges(critic, encoder=place, weight=model.decoding.get("critic"))
    return Judges()


def load_encoder_of(model: ModelFolder, weights: str) -> Encoder:
    """The encoder that the model was trained with, run by Keras.

    weights: as in `load_encoder`. Raises `CaptioningError` when they are others than in training.
    """
    from captioning.vision.encoders import load_encoder

    signature = model.encoder
    own = own_weights_of(model.folder, signature["name"])
    weights = str(own) if own and weights == "imagenet" else weights
    encoder = load_encoder(signature["name"], weights)
    if signature["weights"] not in (encoder.fingerprint, UNKNOWN_WEIGHTS):
        raise CaptioningError(
            f"{model.folder} was trained with other weights of {signature['name']} "
            f"(fingerprint {signature['weights']}) than {weights} holds ({encoder.fingerprint}); "
            "name the right file with --weights"
        )
    return encoder
