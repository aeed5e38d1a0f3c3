"""Pickles from strangers: read as arrays and built-in containers, nothing in them runs.

A pickle is a program for a stack machine, and reading it runs that program. Two
measures keep it harmless:

1. `_scan` reads the whole program without running it. It refuses instructions that plain data
   never needs, sizes larger than the file, and keys of dictionaries and sets that are neither
   text nor numbers: nested tuples of 60 levels, each holding the one below twice, take 400 bytes,
   and 2**60 steps to hash.
2. `_ArrayUnpickler` runs it, but the few names that arrays need stand for functions of this
   module (`_ALLOWED`), which check their arguments. numpy's own functions would believe any
   size, and its types could be changed for the whole process.

Reference of the format: https://docs.python.org/3/library/pickletools.html
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

from captioning.errors import CaptioningError, command_line
from captioning.files.whole import written_whole

LARGEST = 16 << 30
"""Pickles of more bytes are refused before they are read."""

# Not among them: INST, OBJ, NEWOBJ (they make objects of any class), EXT1 to EXT4, PERSID and
# BINPERSID (they call hooks), POP and DUP (data needs neither, and `_scan` would have to follow).
_INSTRUCTIONS = set(
    """
    PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1
    LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE
    BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 EMPTY_LIST APPEND APPENDS LIST
    EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT DICT SETITEM SETITEMS EMPTY_SET ADDITEMS
    FROZENSET GET BINGET LONG_BINGET PUT BINPUT LONG_BINPUT MEMOIZE GLOBAL STACK_GLOBAL REDUCE BUILD
    """.split()  # noqa: SIM905 (a list of sixty words is less readable)
)

_PUTS = {"PUT", "BINPUT", "LONG_BINPUT"}
"""Instructions that put the top of the stack into the memo, under a number they give."""

_GETS = {"GET", "BINGET", "LONG_BINGET"}
"""Instructions that put a value of the memo onto the stack."""

_FILLS = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"}
"""Instructions that fill an object below their arguments and leave it on the stack."""

_TAKES_PAIRS, _TAKES_KEYS = {"DICT", "SETITEM", "SETITEMS"}, {"ADDITEMS", "FROZENSET"}

_KEY_TYPES = {"int", "int_or_bool", "bool", "float", "str", "bytes", "bytes_or_str", "None"}
"""Types whose values may be keys, as `pickletools` names them."""

_ODD_KEY = "it holds a key that is neither text nor a number"

_TYPES = re.compile(r"([<>|=]?)([biufcSU?])(\d{0,4})")
"""The types that arrays may have: byte order, kind (no objects, no fields), size in bytes."""

_ARRAY = "ndarray"
"""Stands for numpy's class: a pickle can neither call a string nor change its attributes."""


class _Type:
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


class _Array(np.ndarray):
    """An array while it is unpickled: only a checked state reaches numpy's `__setstate__`.

    `_plain` makes an ordinary ndarray of it.
    """

    def __setstate__(self, state: Any) -> None:
        """Take shape, type and content, when they fit each other."""
        _, shape, kind, is_fortran, content = state
        array = _array_of(content, kind, shape, "F" if is_fortran else "C")
        checked: Any = (1, array.shape, array.dtype, bool(is_fortran), bytes(content))
        super().__setstate__(checked)

    def __array_finalize__(self, parent: Any) -> None:
        """A view takes nothing over from its parent."""


def _array_of(content: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
    """The array of that content, when it has exactly as many bytes as type and shape say."""
    if (
        not isinstance(kind, _Type)
        or not isinstance(content, bytes | bytearray)
        or not isinstance(shape, tuple)
        or not all(type(side) is int and side >= 0 for side in shape)
        or order not in ("C", "F")
    ):
        raise pickle.UnpicklingError("it holds an array with parts of the wrong kind")
    dtype = kind.as_dtype()
    # math.prod of Python's integers can't wrap around, as numpy's 64 bits would.
    if math.prod(shape) * dtype.itemsize != len(content) or dtype.itemsize == 0:
        raise pickle.UnpicklingError(f"it holds an array of {shape} in {len(content):,} bytes")
    return np.frombuffer(bytes(content), dtype).reshape(shape, order=order)


def _reconstruct(kind: Any, shape: Any, code: Any) -> _Array:
    """An empty array, whatever shape and type are given: the true ones come with its state."""
    if kind != _ARRAY:
        raise pickle.UnpicklingError("it builds an array of a class that isn't numpy's")
    return np.zeros(0, np.uint8).view(_Array)


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
        raise pickle.UnpicklingError(_ODD_KEY)
    return kind(items)


class _Callable:
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


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _ARRAY,
    ("numpy", "dtype"): _Callable(_Type),
    ("_codecs", "encode"): _Callable(_latin1),
}
"""What a name in a pickle, (module, attribute), stands for; all other names are refused."""


for _built_in in ("builtins", "__builtin__"):  # as protocols before 4 name sets and empty bytes
    for _kind in (set, frozenset, bytes):
        _ALLOWED[_built_in, _kind.__name__] = _Callable(partial(_container, _kind))

for _numpy in ("numpy.core", "numpy._core"):  # before and since numpy 2
    _ALLOWED[f"{_numpy}.multiarray", "_reconstruct"] = _Callable(_reconstruct)
    _ALLOWED[f"{_numpy}.multiarray", "scalar"] = _Callable(_scalar)
    _ALLOWED[f"{_numpy}.numeric", "_frombuffer"] = _Callable(_from_buffer)


class _ArrayUnpickler(pickle.Unpickler):
    """Python's own unpickler, with `_ALLOWED` for all that it would import."""

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

    what: the file's role, for messages. Raises `CaptioningError` when it is missing, damaged, or
    holds anything else.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if size > LARGEST:
                raise pickle.UnpicklingError(f"it has more than {LARGEST:,} bytes")
            if size:
                # A map, asked for 2**40 bytes, gives those there are; a file would allocate all
                # of them first.
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                    _scan(mapped, size)
            return _plain(_ArrayUnpickler(file).load(), {})
    except FileNotFoundError:
        raise CaptioningError(
            f"{what} {path} is missing; {command_line('features')} writes it"
        ) from None
    except Exception as error:  # a damaged pickle raises all sorts
        raise CaptioningError(
            f"cannot read {what} {path}: {error}; make it again with {command_line('features')}"
        ) from None


def _scan(file: Any, size: int) -> None:
    """Check every instruction of a pickle of `size` bytes without running it.

    Of each value on the stack and in the memo only one thing is followed: whether it may be a
    key. Raises `UnpicklingError` for what plain data never does.
    """
    stack: list[bool | None] = []  # None is a mark
    memo: dict[int, bool | None] = {}
    for instruction, argument, _ in pickletools.genops(file):
        name = instruction.name
        if name not in _INSTRUCTIONS:
            raise pickle.UnpicklingError(f"it wants to run {name}, which plain data never does")
        number: Any = argument  # of these instructions always a number, or its digits
        if name in _PUTS and int(number) > size:  # the memo is an array: it would be that long
            raise pickle.UnpicklingError(f"its memo would have {number:,} places")
        if name == "FRAME" and number > size:  # a frame's bytes are allocated before they are read
            raise pickle.UnpicklingError(f"it wants {number:,} bytes and has {size:,}")
        # Multiples of 2**61 - 1 all have the hash 0: a few thousand of them as keys of one
        # dictionary would take quadratic time.
        if type(argument) is int and argument.bit_length() > 64:
            raise pickle.UnpicklingError("it holds a number of more than 64 bits")
        if name in _PUTS or name == "MEMOIZE":
            memo[len(memo) if argument is None else int(number)] = stack[-1]
        elif name in _GETS:
            stack.append(memo[int(number)])
        else:
            _follow(instruction, stack)


def _follow(instruction: Any, stack: list[bool | None]) -> None:
    """Change the stack as the instruction would; raises for a key that may not be one."""
    name, filled = instruction.name, instruction.name in _FILLS
    if name == "MARK":
        stack.append(None)
        return
    if pickletools.markobject in instruction.stack_before:  # it takes all down to the last mark
        place = len(stack) - 1
        while stack[place] is not None:
            place -= 1
        taken = stack[place + 1 :]
    else:
        # `stack_before` counts the object that is filled, which stays.
        place = len(stack) - len(instruction.stack_before) + filled
        taken = stack[place:]
    del stack[place:]
    keys = taken if name in _TAKES_KEYS else taken[::2] if name in _TAKES_PAIRS else []
    if not all(keys):
        raise pickle.UnpicklingError(_ODD_KEY)
    if not filled:
        stack += [kind.name in _KEY_TYPES for kind in instruction.stack_after]


def _plain(value: Any, done: dict[int, Any], depth: int = 0) -> Any:
    """The value with numpy's own arrays in place of ours, in all containers.

    done: {id: result} of the containers so far. Each is gone through once, however often the
    pickle refers to it, else one that is doubled 60 times would take 2**60 steps.
    """
    if isinstance(value, _Array):
        return value.view(np.ndarray)
    if isinstance(value, _Type | _Callable):
        raise pickle.UnpicklingError("it holds the parts of an array, not an array")
    if not isinstance(value, dict | list | tuple):
        return value
    if depth > 100:
        raise pickle.UnpicklingError("it is nested more than 100 deep")
    if id(value) in done:
        return done[id(value)]
    done[id(value)] = value
    if isinstance(value, dict):
        for key in value:
            _plain(key, done, depth + 1)
            value[key] = _plain(value[key], done, depth + 1)
    elif isinstance(value, list):
        value[:] = [_plain(item, done, depth + 1) for item in value]
    else:
        done[id(value)] = tuple(_plain(item, done, depth + 1) for item in value)
    return done[id(value)]


def write_pickle(path: Path, value: Any) -> None:
    """Pickle built-in containers and arrays, in a protocol that old readers know too."""
    with written_whole(path) as beside, beside.open("wb") as file:
        pickle.dump(value, file, protocol=4)
