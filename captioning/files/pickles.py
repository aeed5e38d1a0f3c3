"""Pickles from strangers: read as arrays and built-in containers, nothing in them runs.

A pickle is a program for a stack machine, and reading it runs that program. Two
measures keep it harmless:

1. `_scan` reads the whole program without running it. It refuses instructions that plain data
   never needs, sizes larger than the file, and keys of dictionaries and sets that are neither
   text nor numbers: nested tuples of 60 levels, each holding the one below twice, take 400 bytes,
   and 2**60 steps to hash.
2. `_Unpickler` runs it, but the few names that arrays, and the tokenizers of Keras, need stand for
   functions of `stand_ins`, which check their arguments.

Reference of the format: https://docs.python.org/3/library/pickletools.html
"""

import mmap
import pickle
import pickletools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from captioning.errors import CaptioningError, command_line
from captioning.files.stand_ins import (
    ODD_KEY,
    PYTHON_2,
    ArrayStandIn,
    Function,
    PickledTokenizer,
    TypeStandIn,
    stand_in,
)
from captioning.files.whole import written_whole

LARGEST = 16 << 30
"""Pickles of more bytes are refused before they are read."""

# Not among them: INST, OBJ, NEWOBJ_EX (they make objects of any class), EXT1 to EXT4, PERSID and
# BINPERSID (they call hooks), POP and DUP (data needs neither, and `_scan` would have to follow).
# NEWOBJ wants a real type, and `stand_ins` has one alone, that of a tokenizer.
_INSTRUCTIONS = set(
    """
    PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1
    LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE
    BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 EMPTY_LIST APPEND APPENDS LIST
    EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT DICT SETITEM SETITEMS EMPTY_SET ADDITEMS
    FROZENSET GET BINGET LONG_BINGET PUT BINPUT LONG_BINPUT MEMOIZE GLOBAL STACK_GLOBAL REDUCE BUILD
    NEWOBJ
    """.split()  # noqa: SIM905 (a list of sixty words is less readable)
)

_CODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}

_PUTS = {"PUT", "BINPUT", "LONG_BINPUT"}
"""Instructions that put the top of the stack into the memo, under a number they give."""

_GETS = {"GET", "BINGET", "LONG_BINGET"}
"""Instructions that put a value of the memo onto the stack."""

_FILLS = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"}
"""Instructions that fill an object below their arguments and leave it on the stack."""

_TAKES_PAIRS, _TAKES_KEYS = {"DICT", "SETITEM", "SETITEMS"}, {"ADDITEMS", "FROZENSET"}

_KEY_TYPES = {"int", "int_or_bool", "bool", "float", "str", "bytes", "bytes_or_str", "None"}
"""Types whose values may be keys, as `pickletools` names them."""


class _Unpickler(pickle.Unpickler):
    """Python's own unpickler, with stand-ins for all that it would import."""

    def find_class(self, module: str, name: str) -> Any:
        return stand_in(module, name)


def read_pickle(path: Path, what: str, remedy: str = "") -> Any:
    """Give the arrays, dictionaries, lists and strings of a pickle; code in it is never run.

    A tokenizer of Keras comes as a `PickledTokenizer`. what: the file's role, for messages;
    remedy: what to do about a file that can't be read, instead of making it again. Raises
    `CaptioningError` when it is missing, damaged, or holds anything else.
    """
    path = Path(path)
    remedy = remedy or f"make it again with {command_line('features')}"
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
            return _plain(_Unpickler(file, encoding=PYTHON_2[0], errors=PYTHON_2[1]).load(), {})
    except FileNotFoundError:
        raise CaptioningError(f"{what} {path} is missing; {remedy}") from None
    except Exception as error:  # a damaged pickle raises all sorts
        raise CaptioningError(f"cannot read {what} {path}: {error}; {remedy}") from None


def _instructions(file: Any) -> Iterator[tuple[Any, Any]]:
    """Every instruction up to the last, with its argument; None for one without.

    As `pickletools.genops`, which stops at texts of Python 2 that aren't ASCII: at every array of
    its protocol 0.
    """
    while True:
        code = file.read(1)
        instruction = _CODES.get(code)
        if instruction is None:
            raise pickle.UnpicklingError("it ends too early" if not code else "it is no pickle")
        if instruction.name == "STRING":
            file.readline()
            yield instruction, None
            continue
        yield instruction, instruction.arg.reader(file) if instruction.arg else None
        if instruction.name == "STOP":
            return


def _scan(file: Any, size: int) -> None:
    """Check every instruction of a pickle of `size` bytes without running it.

    Of each value on the stack and in the memo only one thing is followed: whether it may be a
    key. Raises `UnpicklingError` for what plain data never does.
    """
    stack: list[bool | None] = []  # None is a mark
    memo: dict[int, bool | None] = {}
    for instruction, argument in _instructions(file):
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
        raise pickle.UnpicklingError(ODD_KEY)
    if not filled:
        stack += [kind.name in _KEY_TYPES for kind in instruction.stack_after]


def _plain(value: Any, done: dict[int, Any], depth: int = 0) -> Any:
    """The value with numpy's own arrays in place of ours, in all containers.

    done: {id: result} of the containers so far. Each is gone through once, however often the
    pickle refers to it, else one that is doubled 60 times would take 2**60 steps.
    """
    if isinstance(value, ArrayStandIn):
        return value.view(np.ndarray)
    if isinstance(value, TypeStandIn | Function) or value is PickledTokenizer:
        raise pickle.UnpicklingError("it holds the parts of an array, not an array")
    if not isinstance(value, dict | list | tuple | PickledTokenizer):
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
    elif isinstance(value, PickledTokenizer):
        value.state = _plain(getattr(value, "state", {}), done, depth + 1)
    elif isinstance(value, list):
        value[:] = [_plain(item, done, depth + 1) for item in value]
    else:
        done[id(value)] = tuple(_plain(item, done, depth + 1) for item in value)
    return done[id(value)]


class _Pickler(pickle.Pickler):
    """Writes arrays by names that every numpy knows: `numpy._core` is unknown to those before 1.26.

    Old programs read them so, as arrays that can't be written to.
    """

    def reducer_override(self, value: Any) -> Any:
        if type(value) is np.ndarray:
            return np.ndarray, (value.shape, value.dtype.str, value.tobytes())
        return NotImplemented


def write_pickle(path: Path, value: Any) -> None:
    """Pickle built-in containers and arrays, in a protocol that old readers know too."""
    with written_whole(path) as beside, beside.open("wb") as file:
        _Pickler(file, protocol=4).dump(value)
