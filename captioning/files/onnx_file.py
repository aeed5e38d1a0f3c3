"""ONNX files: written as a graph of ours is, and checked before a stranger's is run.

An ONNX file is one message of Protocol Buffers. Of that format this is the part that is wanted
here, so that nothing but ONNX Runtime is needed to build an encoder's graph and to run it:
https://protobuf.dev/programming-guides/encoding/
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from captioning.errors import CaptioningError

OPERATORS_VERSION, FORMAT_VERSION = 17, 8
"""The set of operators and the format that graphs are written in; ONNX Runtime has read both since
2022."""

LARGEST = 1 << 30
"""Files of more bytes are refused before they are read."""

_KINDS = {"float32": 1, "uint8": 2, "int64": 7, "float16": 10}
"""TensorProto.DataType."""

_LOOPS = {"If", "Loop", "Scan", "SequenceMap"}
"""Operators that run a graph of their own, perhaps without end; no model of ours has them."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Attribute = int | str | Sequence[int]


class Graph:
    """An ONNX graph that grows by one operator at a time; `as_bytes` is the file's content."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._parts: list[bytes] = []  # fields of GraphProto

    def input(self, name: str, kind: str, shape: Sequence[int | str]) -> str:
        """An input. shape: names stand for dimensions of any size."""
        self._parts.append(_field(11, _value_info(name, kind, shape)))
        return name

    def output(self, name: str, kind: str, shape: Sequence[int | str]) -> None:
        """An output, by the name of a result or an input."""
        self._parts.append(_field(12, _value_info(name, kind, shape)))

    def constant(self, name: str, values: np.ndarray) -> str:
        """Weights, or other numbers that don't change."""
        dims = b"".join(_number(1, side) for side in values.shape)
        kind = _number(2, _KINDS[str(values.dtype)])
        content = _field(9, np.ascontiguousarray(values).tobytes())
        self._parts.append(_field(5, dims + kind + _field(8, name.encode()) + content))
        return name

    def add(self, operator: str, inputs: Sequence[str], name: str, **attributes: Attribute) -> str:
        """An operator with one result, which has its name."""
        parts = [_field(1, value.encode()) for value in inputs]
        parts += [_field(2, name.encode()), _field(3, name.encode()), _field(4, operator.encode())]
        parts += [_field(5, _attribute(key, value)) for key, value in attributes.items()]
        self._parts.append(_field(1, b"".join(parts)))
        return name

    def as_bytes(self, notes: Mapping[str, str]) -> bytes:
        """The file's content. notes: whatever belongs to the graph, as text."""
        graph = _field(2, self._name.encode()) + b"".join(self._parts)
        entries = (
            _field(1, key.encode()) + _field(2, text.encode()) for key, text in notes.items()
        )
        return b"".join(
            (
                _number(1, FORMAT_VERSION),
                _field(7, graph),
                _field(8, _field(1, b"") + _number(2, OPERATORS_VERSION)),
                *(_field(14, entry) for entry in entries),
            )
        )


def _value_info(name: str, kind: str, shape: Sequence[int | str]) -> bytes:
    dims = b"".join(
        _field(1, _number(1, side) if isinstance(side, int) else _field(2, side.encode()))
        for side in shape
    )
    tensor = _number(1, _KINDS[kind]) + _field(2, dims)
    return _field(1, name.encode()) + _field(2, _field(1, tensor))


def _attribute(name: str, value: Attribute) -> bytes:
    """AttributeProto; its type is told beside the value (2 number, 3 text, 7 numbers)."""
    key = _field(1, name.encode())
    if isinstance(value, int):
        return key + _number(3, value) + _number(20, 2)
    if isinstance(value, str):
        return key + _field(4, value.encode()) + _number(20, 3)
    return key + b"".join(_number(8, number) for number in value) + _number(20, 7)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    value &= (1 << 64) - 1  # numbers below zero count down from 2 ** 64
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_checked(path: Path) -> bytes:
    """The content of an ONNX file, when it's a graph of standard operators and its own weights.

    Raises `CaptioningError` for anything else: operators that aren't ONNX' own or that run graphs
    of their own, weights in other files, functions, and files that are damaged or too large.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it has more than {LARGEST:,} bytes")
        content = path.read_bytes()
        _check_model(memoryview(content))
    except OSError as error:
        raise CaptioningError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, IndexError, struct.error) as error:
        reason = error if type(error) is ValueError else "it is damaged"
        raise CaptioningError(f"cannot read {path}: {reason}") from None
    return content


def _check_model(model: memoryview) -> None:
    graphs = 0
    for number, value in _fields(model):
        if number == 25:
            raise ValueError("it brings functions of its own, which no model of ours does")
        if number == 7:
            graphs += 1
            _check_graph(_message(value))
    if graphs != 1:
        raise ValueError(f"it holds {graphs} graphs, not one")


def _check_graph(graph: memoryview) -> None:
    for number, value in _fields(graph):
        if number == 1:
            _check_operator(_message(value))
        elif number == 5:
            _check_weights(_message(value))
        elif number == 15:
            raise ValueError("it holds sparse weights, which no model of ours does")


def _check_operator(node: memoryview) -> None:
    domain, operator = "", ""
    for number, value in _fields(node):
        if number == 4:
            operator = _text(value)
        elif number == 7:
            domain = _text(value)
        elif number == 5:
            for part, inner in _fields(_message(value)):
                if part in (5, 10):  # a tensor, or several, as an attribute
                    _check_weights(_message(inner))
                elif part in (6, 11, 22, 23):  # a graph, a sparse tensor, or several
                    raise ValueError("it holds an operator of a kind that no model of ours has")
    if domain not in ("", "ai.onnx"):
        raise ValueError(f"it wants the operator {domain}.{operator}, which isn't ONNX' own")
    if operator in _LOOPS:
        raise ValueError(f"it wants the operator {operator}, which no model of ours does")


def _check_weights(tensor: memoryview) -> None:
    """Field 13 names another file, and 14 says that the weights are there."""
    for number, value in _fields(tensor):
        if number == 13 or (number == 14 and value):
            raise ValueError("its weights are in another file; export the model again")


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("it is damaged")
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_message(value)[:100]).decode("utf-8", "replace")


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(number, value) of each field: a number, or the bytes of a text or an inner message."""
    place = 0
    while place < len(message):
        key, place = _read_varint(message, place)
        number, kind = key >> 3, key & 7
        if key >> 32:
            raise ValueError("it is damaged")
        if kind == _VARINT:
            value, place = _read_varint(message, place)
            yield number, value
            continue
        if kind == _BYTES:
            length, place = _read_varint(message, place)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError("it is no ONNX file, or damaged")
        if length > len(message) - place:
            raise ValueError("it was cut off")
        yield number, message[place : place + length]
        place += length


def _read_varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):  # ten bytes hold 64 bits
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("it is damaged")
