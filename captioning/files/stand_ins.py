"""What the names in a pickle stand for: functions that check, and types that nothing can change.

numpy's own functions would believe any size, and its types could be changed for the whole process.
Keras' tokenizer is read without Keras, whichever of its modules a pickle names: what comes out is
its attributes, in a `PickledTokenizer`.
"""

import math
import pickle
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

ODD_KEY = "it holds a key that is neither text nor a number"

PYTHON_2 = ("utf-8", "surrogateescape")
"""How texts of Python 2, which may be any bytes, are decoded: words right, and bytes not lost."""

_TYPES = re.compile(r"([<>|=]?)([biufcSU?])(\d{0,4})")
"""The types that arrays may have: byte order, kind (no objects, no fields), size in bytes."""


class TypeStandIn:
    """Stands for numpy.dtype: text until it has been checked, so that no real type is changed.

    A real dtype takes a state from the pickle, and dtypes are shared by the whole process.
    """

    __slots__ = ("_order", "_text")

    def __init__(self, text: Any, *_: Any) -> None:
        if not isinstance(text, str) or not _TYPES.fullmatch(text):
            raise pickle.UnpicklingError("it holds an array of something else than numbers or text")
        self._text, self._order = text, ""

    def __setstate__(self, state: Any) -> None:
        """Take the byte order; all else of numpy's state (fields, sizes) plain types never need."""
        order = state[1]
        if order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError("it holds an array of an unknown byte order")
        self._order = order if order != "|" else ""

    def as_dtype(self) -> np.dtype:
        """The checked type."""
        return np.dtype(self._order + self._text.lstrip("<>|="))


class ArrayStandIn(np.ndarray):
    """An array while it is unpickled: only a checked state reaches numpy's `__setstate__`.

    `_plain` makes an ordinary ndarray of it.
    """

    def __setstate__(self, state: Any) -> None:
        """Take shape, type and content, when they fit each other."""
        _, shape, kind, is_fortran, content = state
        array = _array_of(content, kind, shape, "F" if is_fortran else "C")
        checked: Any = (1, array.shape, array.dtype, bool(is_fortran), array.tobytes("A"))
        super().__setstate__(checked)

    def __array_finalize__(self, parent: Any) -> None:
        """A view takes nothing over from its parent."""


def _array_of(content: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
    """The array of that content, when it has exactly as many bytes as type and shape say."""
    if (
        not isinstance(kind, TypeStandIn)
        or not isinstance(content, bytes | bytearray | str)
        or not isinstance(shape, tuple)
        or not all(type(side) is int and side >= 0 for side in shape)
        or order not in ("C", "F")
    ):
        raise pickle.UnpicklingError("it holds an array with parts of the wrong kind")
    if isinstance(content, str):  # of Python 2, whose texts were bytes
        content = content.encode(*PYTHON_2)
    dtype = kind.as_dtype()
    # math.prod of Python's integers can't wrap around, as numpy's 64 bits would.
    if math.prod(shape) * dtype.itemsize != len(content) or dtype.itemsize == 0:
        raise pickle.UnpicklingError(f"it holds an array of {shape} in {len(content):,} bytes")
    return np.frombuffer(bytes(content), dtype).reshape(shape, order=order)


def _reconstruct(kind: Any, shape: Any, code: Any) -> ArrayStandIn:
    """An empty array, whatever shape and type are given: the true ones come with its state."""
    if kind is not _ARRAY:
        raise pickle.UnpicklingError("it builds an array of a class that isn't numpy's")
    return np.zeros(0, np.uint8).view(ArrayStandIn)


def _scalar(kind: Any, content: Any) -> np.generic:
    """Stands for numpy's function of that name: a single number, as np.float32(2)."""
    return _array_of(content, kind, (1,), "C")[0]


def _from_buffer(content: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
    """Stands for numpy's `_frombuffer`, which protocol 5 uses; a writable copy."""
    return np.array(_array_of(content, kind, shape, order))


def _latin1(text: str, encoding: str) -> bytes:
    """The bytes of an array, which protocols before 3 write as text in this one encoding."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it wants the encoding {encoding!r}, which arrays never do")
    return text.encode("latin1")


def _container(kind: type, items: Any = ()) -> Any:
    """A set, frozenset or bytes of a list of plain items."""
    if not isinstance(items, list | tuple):  # bytes(10**12) would be that many
        raise pickle.UnpicklingError(f"it makes {kind.__name__} of something else than a list")
    if not all(isinstance(item, str | bytes | int | float | None) for item in items):
        raise pickle.UnpicklingError(ODD_KEY)
    return kind(items)


def _whole_array(shape: Any, kind: Any, content: Any) -> np.ndarray:
    """Stands for numpy's class when it is called, as `write_pickle` does; a writable copy."""
    return np.array(_array_of(content, TypeStandIn(kind), shape, "C"))


class Function:
    """A function that a pickle may call, but not change: BUILD sets attributes of anything else."""

    __slots__ = ("_make",)
    _make: Callable[..., Any]

    def __init__(self, make: Callable[..., Any]) -> None:
        object.__setattr__(self, "_make", make)

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setattr__(self, *_: Any) -> None:
        raise pickle.UnpicklingError("it wants to change the program that reads it")

    __setstate__ = __setattr__


class PickledTokenizer:
    """A tokenizer of Keras: its attributes, and nothing that could be called.

    state: {attribute: value} as the pickle gives them, unchecked.
    """

    __slots__ = ("state",)
    state: dict[str, Any]

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise pickle.UnpicklingError("it holds a tokenizer without attributes")
        self.state = state


_TOKENIZER_MODULES = re.compile(
    r"(keras|keras_preprocessing|tf_keras|tensorflow|tensorflow_core)(\.\w+)*\.text"
)
"""Where `Tokenizer` was, over the years: keras.preprocessing.text and its successors."""


def _old_object(kind: Any, base: Any, state: Any) -> PickledTokenizer:
    """Stands for `copyreg._reconstructor`, by which protocols 0 and 1 make an object."""
    if kind is not PickledTokenizer:
        raise pickle.UnpicklingError("it makes an object of a class that plain data never has")
    return PickledTokenizer()


def _ordered(pairs: Any = ()) -> dict:
    """Stands for OrderedDict, which Python 2 makes of a list of pairs; a plain dictionary."""
    if not isinstance(pairs, list | tuple) or not all(
        isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs
    ):
        raise pickle.UnpicklingError("it makes a dictionary of something else than pairs")
    _container(list, [key for key, _ in pairs])  # checks the keys
    return dict(pairs)


def _counter(default: Any = None) -> dict:
    """Stands for defaultdict: a plain dictionary, whatever its default is."""
    return {}


_ARRAY = Function(_whole_array)
"""Stands for numpy's class."""

_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _ARRAY,
    ("numpy", "dtype"): Function(TypeStandIn),
    ("_codecs", "encode"): Function(_latin1),
    ("collections", "OrderedDict"): Function(_ordered),
    ("collections", "defaultdict"): Function(_counter),
    ("copy_reg", "_reconstructor"): Function(_old_object),
    ("copyreg", "_reconstructor"): Function(_old_object),
}
"""What a name in a pickle, (module, attribute), stands for; all other names are refused."""


for _built_in in ("builtins", "__builtin__"):  # as protocols before 4 name sets and empty bytes
    for _kind in (set, frozenset, bytes):
        _ALLOWED[_built_in, _kind.__name__] = Function(partial(_container, _kind))
    # The base of a class, and the defaults of a defaultdict: named, but never used.
    for _name in ("object", "int", "long", "float", "list", "dict"):
        _ALLOWED[_built_in, _name] = _name

for _numpy in ("numpy.core", "numpy._core"):  # before and since numpy 2
    _ALLOWED[f"{_numpy}.multiarray", "_reconstruct"] = Function(_reconstruct)
    _ALLOWED[f"{_numpy}.multiarray", "scalar"] = Function(_scalar)
    _ALLOWED[f"{_numpy}.numeric", "_frombuffer"] = Function(_from_buffer)


def stand_in(module: str, name: str) -> Any:
    """What a name in a pickle stands for; raises `UnpicklingError` for what plain data never names.

    Nothing is imported: everything else would be code from the file.
    """
    if name == "Tokenizer" and _TOKENIZER_MODULES.fullmatch(module):
        return PickledTokenizer
    try:
        return _ALLOWED[module, name]
    except KeyError:
        raise pickle.UnpicklingError(
            f"it wants to run {module}.{name}, which plain data never does"
        ) from None
