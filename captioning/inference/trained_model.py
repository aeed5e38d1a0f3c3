"""A trained model's folder, written, and read with its Keras model.

`model.keras`     architecture and weights, the weights in half precision
`captioner.json`  vocabulary and cleaning rules, encoder and its preprocessing, maximal length,
                  decoding defaults, how it was trained, versions
`decoder_photo.onnx`, `decoder_step.onnx`, `encoder.onnx`  once exported: `model_folder` reads them
`encoder.npz`     the encoder's own weights, where it was trained along with the decoder
`trained_on.txt`  digests of the training photos' names and contents, which must not be scored
`familiarity.npz` what the training photos' vectors are like, to tell photos that are unlike them
`critic.npz`      chooses among a beam's captions, where `train.py --critic` trained one
`history.csv`, `curves.png`, `model.png`, `scores.json`  for people
`film.csv`, `film.png`  the captions of four dev photos after each epoch
`history_before.csv`  the history of the model that it was trained further from
"""

import io
import platform
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from captioning.data.text import Tokenizer
from captioning.decoders.kinds import PREFIX
from captioning.decoders.onnx_steps import PHOTO, STEP
from captioning.errors import CaptioningError, command_line
from captioning.files.keras_files import check_keras_file
from captioning.files.text import write_json
from captioning.files.whole import written_whole
from captioning.inference.critic import CRITIC
from captioning.inference.description import DESCRIPTION, FORMAT, MODEL
from captioning.inference.model_folder import ModelFolder, check_sizes, read_model_folder
from captioning.vision.onnx_encoder import ENCODER

NEW_DECODING = {"beam": 1, "length_power": 0.7}
"""How a new model decodes until something better is found on dev."""


@dataclass(frozen=True)
class TrainedModel(ModelFolder):
    """A folder with its Keras model, ready to be trained further, taught from, or run."""

    model: Any


def save_trained_model(
    folder: Path,
    model: Any,
    tokenizer: Tokenizer,
    about: Mapping[str, Any],
) -> None:
    """Write a model's folder; `captioner.json` comes last, so a folder that has it is whole.

    about: what that file tells of the model: "encoder", its signature; "max_length"; "training",
    how it was trained; "decoding", its defaults, where they aren't those of a new model. Where
    those want a critic, the folder has it already.
    """
    import keras

    folder = Path(folder)
    # An old description would vouch for a new network if the run were killed between the two.
    (folder / DESCRIPTION).unlink(missing_ok=True)
    decoding = about.get("decoding", NEW_DECODING)
    of_before = [PHOTO, STEP, ENCODER] + ([] if "critic" in decoding else [CRITIC])
    for name in of_before:  # these are of the model before
        (folder / name).unlink(missing_ok=True)
    with written_whole(folder / MODEL) as beside:
        keras.Model(model.inputs, model.outputs, name=model.name).save(beside)  # no optimizer
        _halve_weights(beside)
    description = {
        "format": FORMAT,
        "decoder": model.name,
        "encoder": about["encoder"],
        "max_length": about["max_length"],
        "decoding": decoding,
        "cleaning": dict(tokenizer.cleaning),
        "training": about["training"],
        "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "python": platform.python_version(),
            "keras": keras.__version__,
            "backend": keras.backend.backend(),
        },
        "words": list(tokenizer.words),
    }
    write_json(folder / DESCRIPTION, description)


def _halve_weights(file: Path) -> None:
    """Rewrite the weights inside a .keras file as float16: half the size, the same captions.

    Keras casts them to each variable's own type on loading.
    """
    import h5py
    import numpy as np

    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    weights = io.BytesIO(members["model.weights.h5"])
    smaller = io.BytesIO()
    with h5py.File(weights, "r") as old, h5py.File(smaller, "w") as new:

        def copy(name: str, item: Any) -> None:
            if isinstance(item, h5py.Group):
                made = new.require_group(name)
            else:
                values = item[()]
                # Above 65504 float16 is infinite; numbers like these, and integers, stay.
                small = values.dtype == np.float32 and np.abs(values).max(initial=0) < 65504
                made = new.create_dataset(name, data=values.astype("float16") if small else values)
            made.attrs.update(item.attrs)

        # Group by group, so that Keras finds each layer's weights at the same path.
        new.attrs.update(old.attrs)
        old.visititems(copy)
    members["model.weights.h5"] = smaller.getvalue()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def load_trained_model(folder: Path) -> TrainedModel:
    """Load a model's folder. Raises `CaptioningError` when its parts are missing or don't fit."""
    import keras

    from captioning.decoders.build import STEPS  # registers the layers that the file names

    about = read_model_folder(folder)
    folder = about.folder
    if about.description["decoder"] == PREFIX:
        raise CaptioningError(
            f"{folder} was converted from another project's files: it captions and can be scored, "
            "but not be trained further or exported"
        )
    if not (folder / MODEL).is_file():
        raise CaptioningError(
            f"the model's folder {folder} lacks {MODEL}: it was exported, and only captions; "
            f"train it again with: {command_line('train')}"
        )
    check_keras_file(folder / MODEL)
    try:
        model = keras.models.load_model(folder / MODEL, compile=False, safe_mode=True)
    except Exception as error:  # zip, JSON, h5 and Keras errors alike
        reason = str(error).strip().split("\n")[0][:200]
        raise CaptioningError(f"cannot read {folder / MODEL}: {reason}") from None
    if model.name not in STEPS or len(model.inputs) != 2:
        raise CaptioningError(f"{folder / MODEL} is no decoder: its name is {model.name[:50]!r}")
    _check_fits(about, model)
    return TrainedModel(**vars(about), model=model)


def _check_fits(about: ModelFolder, model: Any) -> None:
    """Raise `CaptioningError` when the network is of another model than its description."""
    check_sizes(
        about,
        str(about.folder / MODEL),
        model.outputs[0].shape[-1],
        tuple(model.inputs[0].shape[1:]),
    )
