"""Networks and the captioning loop of other projects, with Keras 2 (`tf_keras`) or Keras 3."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

KINDS = ("merge", "inject", "par-inject", "init-inject", "weighed")


def build(k: ModuleType, kind: str, vector: int, length: int, numbers: int, width: int = 9) -> Any:
    """A network as other projects build it; k: the module keras, or tf_keras."""
    make = k.layers
    photo, words = make.Input((vector,)), make.Input((length,))
    code = make.Dense(width, activation="relu")(make.Dropout(0.5)(photo))
    if kind == "merge":
        x = make.Dropout(0.5)(make.Embedding(numbers, width, mask_zero=True)(words))
        x = make.add([code, make.LSTM(width)(x)])
        x = make.Dense(width, activation="relu")(x)
    elif kind == "inject":  # the photo is the first word
        x = make.Embedding(numbers, width)(words)
        x = make.concatenate([make.Reshape((1, width))(code), x], axis=1)
        x = make.add([make.LSTM(width, recurrent_activation="hard_sigmoid")(x), code])
    elif kind == "par-inject":  # the photo is beside every word
        x = make.LSTM(width, return_sequences=True)(
            make.Embedding(numbers, width, mask_zero=True)(words)
        )
        x = make.concatenate(
            [
                make.RepeatVector(length)(make.BatchNormalization()(code)),
                make.TimeDistributed(make.Dense(width))(x),
            ]
        )
        x = make.Bidirectional(make.GRU(width))(x)
    elif kind == "weighed":  # the photo weighs the words
        x = make.LSTM(width, return_sequences=True)(make.Embedding(numbers, width)(words))
        scores = make.Dot(axes=(2, 2))([make.RepeatVector(length)(code), x])
        x = make.Dot(axes=[2, 1])([make.Activation("softmax")(scores), x])
        x = make.add([make.GlobalAveragePooling1D()(x), code])
    else:  # the photo is the state before any word
        x = make.Embedding(numbers, width, mask_zero=True)(words)
        x = make.LSTM(width)(x, initial_state=[code, code])
        x = make.LeakyReLU()(x)
    output = make.Dense(numbers, activation="softmax")(x)
    model = k.Model([photo, words], output)
    generator = np.random.default_rng(KINDS.index(kind))
    # Random weights as large as trained ones: the next word depends on photo and words.
    model.set_weights([generator.normal(0, 1.0, part.shape) for part in model.get_weights()])
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            layer.set_weights([np.abs(part) + 0.5 for part in layer.get_weights()])
    model.compile("adam", "categorical_crossentropy")
    return model


def save(model: Any, folder: Path, name: str) -> list[Path]:
    """The model's files in every form it could be saved in; the paths to give to --model."""
    is_old = "tf_keras" in type(model).__module__
    files = [folder / f"{name}.h5", folder / f"{name}.keras", folder / f"{name}_apart.json"]
    for file in files[:2]:
        model.save(file)
    files[2].write_text(model.to_json())
    model.save_weights(folder / f"{name}_apart{'.h5' if is_old else '.weights.h5'}")
    return files


def old_caption(
    predict: Callable[[list], np.ndarray], tokenizer: Any, photo: np.ndarray, length: int
) -> str:
    """What the old captioning script says of a vector (1, D): the likeliest word each time.

    tokenizer: has `word_index` and `texts_to_sequences`, as Keras'; begins with "start".
    """
    text = "start"
    for _ in range(length):
        numbers = tokenizer.texts_to_sequences([text])[0][-length:]
        row = np.zeros((1, length), np.int32)
        if numbers:
            row[0, -len(numbers) :] = numbers
        best = int(np.argmax(predict([photo, row])))
        word = next((w for w, number in tokenizer.word_index.items() if number == best), None)
        if word is None:
            break
        text += " " + word
        if word == "end":
            break
    return text
