"""Pickles read with a restricted unpickler: arrays and built-in containers, nothing else runs.

Before anything is built, the whole file is gone through: only instructions that plain data is
made of, no size that the file doesn't hold, and no keys but text and numbers, because tuples that
hold each other make of a few bytes a key that takes for ever to look up. While it is built, the
names of the few things that arrays are made of stand for functions of this module, which check
what they are given: numpy's own would believe any size and change its own types.
"""

import math
import mmap
import pickle
import pickletools
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from captioning.errors import CaptioningError
from captioning.files.whole import written_whole

LARGEST = 16 << 30
"""Pickles of more bytes are refused before they are read."""


_INSTRUCTIONS = set(
    re.findall(
        r"\w+",
        """
    PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1
    LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE
    BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 EMPTY_LIST APPEND APPENDS LIST
    EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT DICT SETITEM SETITEMS EMPTY_SET ADDITEMS
    FROZENSET GET BINGET LONG_BINGET PUT BINPUT LONG_BINPUT MEMOIZE GLOBAL STACK_GLOBAL REDUCE BUILD
""",
    )
)


_PUTS = {"PUT", "BINPUT", "LONG_BINPUT"}


_GETS = {"GET", "BINGET", "LONG_BINGET"}


_FILLS = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"}
"""Instructions that leave what they fill where it is."""


_PAIRS, _KEYS = {"DICT", "SETITEM", "SETITEMS"}, {"ADDITEMS", "FROZENSET"}


_PLAIN = {"int", "int_or_bool", "bool", "float", "str", "bytes", "bytes_or_str", "None"}
"""What may be a key, as `pickletools` names it."""


_ODD_KEY = "it holds a key that is neither text nor a number"


_TYPES = re.compile(r"([<>|=]?)([biufcSU?])(\d{0,4})")


_ARRAY = "ndarray"  # a word in place of the class: of a word nothing can be called or changed


class _Type:
    """The type of an array's values, as text until it has been checked."""

    __slots__ = ("_order", "_text")

    def __init__(self, text: Any, *_: Any) -> None:
        if not isinstance(text, str) or not _TYPES.fullmatch(text):
            raise pickle.UnpicklingError("it holds an array of something else than numbers or text")
        self._text, self._order = text, ""

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        if order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError("it holds an array of an unknown byte order")
        self._order = order if order != "|" else ""

    def made(self) -> np.dtype:
        return np.dtype(self._order + self._text.lstrip("<>|="))


class _Array(np.ndarray):
    """An array while it is unpickled; `_plain` makes a common one of it."""

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, is_fortran, content = state
        found = _array_of(content, kind, shape, "F" if is_fortran else "C")
        super().__setstate__((1, found.shape, found.dtype, bool(is_fortran), bytes(content)))

    def __array_finalize__(self, parent: Any) -> None:
        """Nothing to take over."""


def _array_of(content: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
    if (
        not isinstance(kind, _Type)
        or not isinstance(content, bytes | bytearray)
        or not isinstance(shape, tuple)
        or not all(type(side) is int and side >= 0 for side in shape)
        or order not in ("C", "F")
    ):
        raise pickle.UnpicklingError("it holds an array that isn't one")
    dtype = kind.made()
    if math.prod(shape) * dtype.itemsize != len(content) or dtype.itemsize == 0:
        raise pickle.UnpicklingError(f"it holds an array of {shape} in {len(content):,} bytes")
    return np.frombuffer(bytes(content), dtype).reshape(shape, order=order)


def _reconstruct(kind: Any, shape: Any, code: Any) -> _Array:
    """An empty array; what it is to hold comes with its state, whatever was said here."""
    if kind != _ARRAY:
        raise pickle.UnpicklingError("it builds an array of a class that isn't numpy's")
    return np.zeros(0, np.uint8).view(_Array)


def _scalar(kind: Any, content: Any) -> np.generic:
    return _array_of(content, kind, (1,), "C")[0]


def _from_buffer(content: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
    return np.array(_array_of(content, kind, shape, order))


def _latin1(text: str, encoding: str) -> bytes:
    """What protocols before 3 turn an array's bytes back with, for that encoding alone."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it wants the encoding {encoding!r}, which arrays never do")
    return text.encode("latin1")


def _container(kind: type, items: Any = ()) -> Any:
    if not isinstance(items, list | tuple):  # bytes(10**12) would be that many
        raise pickle.UnpicklingError(f"it makes {kind.__name__} of something else than a list")
    if not all(isinstance(item, str | bytes | int | float | None) for item in items):
        raise pickle.UnpicklingError(_ODD_KEY)
    return kind(items)


class _Maker:
    """A function that a pickle may call, but not change."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable) -> None:
        object.__setattr__(self, "_make", make)

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setattr__(self, *_: Any) -> None:
        raise pickle.UnpicklingError("it wants to change the program that reads it")

    __setstate__ = __setattr__


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _ARRAY,
    ("numpy", "dtype"): _Maker(_Type),
    ("_codecs", "encode"): _Maker(_latin1),
}


for _built_in in ("builtins", "__builtin__"):  # as protocols before 4 name sets and empty bytes
    for _kind in (set, frozenset, bytes):
        _ALLOWED[_built_in, _kind.__name__] = _Maker(partial(_container, _kind))


for _numpy in ("numpy.core", "numpy._core"):
    _ALLOWED[f"{_numpy}.multiarray", "_reconstruct"] = _Maker(_reconstruct)
    _ALLOWED[f"{_numpy}.multiarray", "scalar"] = _Maker(_scalar)
    _ALLOWED[f"{_numpy}.numeric", "_frombuffer"] = _Maker(_from_buffer)


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Give only what arrays are made of; everything else would be code from the file."""
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it wants to run {module}.{name}, which plain data never does"
            ) from None


def read_pickle(path: Path, what: str) -> Any:
    """Give the arrays, dictionaries, lists and strings of a pickle; code in it is never run.

    Raises `CaptioningError` when the file is missing, damaged, or holds anything else.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if size > LARGEST:
                raise pickle.UnpicklingError(f"it has more than {LARGEST:,} bytes")
            if size:
                # Of a map no more is read than there is; a file would take the memory first.
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                    _go_through(mapped, size)
            return _plain(_ArrayUnpickler(file).load(), {})
    except FileNotFoundError:
        raise CaptioningError(f"{what} {path} is missing; features.py writes it") from None
    except Exception as error:  # a damaged pickle raises all sorts
        raise CaptioningError(
            f"cannot read {what} {path}: {error}; make it again with features.py"
        ) from None


def _go_through(file: Any, size: int) -> None:
    """Look at every instruction of the pickle without obeying; sizes beyond the file raise."""
    stack, remembered = [], {}  # of each thing, whether it may be a key; None is a mark
    for instruction, argument, _ in pickletools.genops(file):
        name = instruction.name
        if name not in _INSTRUCTIONS:
            raise pickle.UnpicklingError(f"it wants to run {name}, which plain data never does")
        if name in _PUTS and int(argument) > size:
            raise pickle.UnpicklingError(f"it wants to remember {argument:,} things")
        if name == "FRAME" and argument > size:
            raise pickle.UnpicklingError(f"it wants {argument:,} bytes and has {size:,}")
        if type(argument) is int and argument.bit_length() > 64:  # many may be alike as keys
            raise pickle.UnpicklingError("it holds a number of more than 64 bits")
        if name in _PUTS or name == "MEMOIZE":
            remembered[len(remembered) if argument is None else int(argument)] = stack[-1]
        elif name in _GETS:
            stack.append(remembered[int(argument)])
        else:
            _pass_over(instruction, stack)


def _pass_over(instruction: Any, stack: list[bool | None]) -> None:
    """Do to the stack what the instruction does; a key that may not be one raises."""
    name, filled = instruction.name, instruction.name in _FILLS
    if name == "MARK":
        stack.append(None)
        return
    if pickletools.markobject in instruction.stack_before:
        place = len(stack) - 1
        while stack[place] is not None:
            place -= 1
        taken = stack[place + 1 :]
    else:
        place = len(stack) - len(instruction.stack_before) + filled
        taken = stack[place:]
    del stack[place:]
    keys = taken if name in _KEYS else taken[::2] if name in _PAIRS else []
    if not all(keys):
        raise pickle.UnpicklingError(_ODD_KEY)
    if not filled:
        stack += [kind.name in _PLAIN for kind in instruction.stack_after]


def _plain(value: Any, seen: dict[int, Any], depth: int = 0) -> Any:
    """The value with numpy's own arrays in it; each thing once, however often it is named."""
    if isinstance(value, _Array):
        return value.view(np.ndarray)
    if isinstance(value, _Type | _Maker):
        raise pickle.UnpicklingError("it holds the parts of an array, not an array")
    if not isinstance(value, dict | list | tuple):
        return value
    if depth > 100:
        raise pickle.UnpicklingError("it is nested more than 100 deep")
    if id(value) in seen:
        return seen[id(value)]
    seen[id(value)] = value
    if isinstance(value, dict):
        for key in value:
            _plain(key, seen, depth + 1)
            value[key] = _plain(value[key], seen, depth + 1)
    elif isinstance(value, list):
        value[:] = [_plain(item, seen, depth + 1) for item in value]
    else:
        seen[id(value)] = tuple(_plain(item, seen, depth + 1) for item in value)
    return seen[id(value)]


def write_pickle(path: Path, value: Any) -> None:
    """Pickle built-in containers and arrays, in a protocol that old readers know too."""
    with written_whole(path) as beside, beside.open("wb") as file:
        pickle.dump(value, file, protocol=4)
