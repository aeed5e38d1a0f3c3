"""Pickles as an attacker would write them: they run something, fill the memory, or never end."""

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np


class Call:
    """Pickles to the call of a function."""

    def __init__(self, function: object, *arguments: object) -> None:
        self._reduced = function, arguments

    def __reduce__(self) -> tuple:
        return self._reduced


def text(value: str) -> bytes:
    """The instruction that puts a text."""
    return b"\x8c" + bytes([len(value)]) + value.encode()


def name(module: str, attribute: str) -> bytes:
    """The instruction that puts what a module names so."""
    return b"c" + module.encode() + b"\n" + attribute.encode() + b"\n"


NDARRAY = name("numpy", "ndarray")
RECONSTRUCT = name("numpy._core.multiarray", "_reconstruct")
DTYPE = name("numpy", "dtype")
FLOATS = DTYPE + b"(" + text("f4") + b"\x89\x88tR"
TUPLES = b"K\x01\x85q\0" + b"h\0h\0\x86q\0" * 60  # looking at all of it takes 2**60 steps
EMPTY = RECONSTRUCT + NDARRAY + b"K\0\x85C\x01b\x87R"


def attacks(trace: Path) -> dict[str, bytes]:
    """Pickles by what they try; `trace` is the file that one makes if any of it runs."""
    return {
        **_calls(f"touch {trace}", trace),
        **_changes_of_the_program(f"touch {trace}"),
        **_sizes(),
        **_endless_work(),
        **_other_files(),
    }


def _calls(system: str, trace: Path) -> dict[str, bytes]:
    """Calls of functions, by every instruction that can call one."""
    run = Call(os.system, system)
    command = text(system)
    objects = np.array([run, None], object)
    found = {
        "reduce": pickle.dumps(run),
        "reduce, nested": pickle.dumps({"a.jpg": [({"b": run},)]}),
        "reduce as a key": pickle.dumps({Call(os.getpid): 1}),
        "in an array of objects": pickle.dumps({"a.jpg": objects}),
        "in an array of objects, old": pickle.dumps({"a.jpg": objects}, 0),
        "eval": pickle.dumps(Call(eval, f"__import__('os').system({system!r})")),
        "exec": pickle.dumps(Call(exec, f"import os; os.system({system!r})")),
        "getattr": name("builtins", "getattr") + name("os", "system") + command + b"\x86R.",
        "import": pickle.dumps(Call(__import__, "os")),
        "open": pickle.dumps(Call(open, str(trace), "w")),
        "global alone": name("os", "system") + b".",
        "global": name("posix", "system") + b"(" + command + b"tR.",
        "stack global": b"\x80\x04" + text("os") + text("system") + b"\x93" + command + b"\x85R.",
        "inst": b"(" + b"S'" + system.encode() + b"'\nios\nsystem\n.",
        "obj": b"(" + name("os", "system") + command + b"o.",
        "newobj": name("subprocess", "Popen") + command + b"\x85\x81.",
        "newobj ex": name("subprocess", "Popen") + command + b"\x85}\x92.",
    }
    for protocol in range(6):
        nested = pickle.dumps({"a": [(run,)]}, protocol)
        found[f"reduce, nested, protocol {protocol}"] = nested
    return found


def _changes_of_the_program(system: str) -> dict[str, bytes]:
    """Names and states that would call functions or change classes, types and functions."""
    command = text(system)
    return {
        "extension": b"\x82\x01.",
        "persistent": b"Pos.system\n.",
        "out of band": b"\x80\x05\x97.",
        "dotted name": b"\x80\x04" + text("numpy") + text("ndarray.__reduce__") + b"\x93.",
        "numpy's loader": name("numpy", "load") + command + b"\x85R.",
        "numpy's exec": name("numpy.testing._private.utils", "runstring") + command + b"}\x86R.",
        "build on a class": NDARRAY + b"}" + text("__reduce__") + text("x") + b"sb.",
        "build on a function": RECONSTRUCT + b"}" + text("x") + text("y") + b"sb.",
        "build on a function's slots": RECONSTRUCT + b"N}" + text("_make") + text("y") + b"s\x86b.",
        "build on a dictionary": b"}" + b"}" + text("x") + text("y") + b"sb.",
        "call of the class": NDARRAY + b"M\xff\xff\x85\x85R.",
        "reconstruct of another class": RECONSTRUCT + text("x") + b"K\0\x85C\x01b\x87R.",
        "a function as the value": RECONSTRUCT + b".",
        "a type as the value": FLOATS + b".",
        "array of objects by hand": DTYPE + text("O8") + b"\x89\x88\x87R.",
        "type of fields": DTYPE + b"]" + text("f4") + b"a\x85R.",
        "type of text with commas": DTYPE + text("f4," * 60) + b"\x85R.",
        "type of 9,999,999 bytes": DTYPE + text("S9999999") + b"\x85R.",
        "type changed by its state": FLOATS
        + b"(K\x03"
        + text("x")
        + b"NNNJ\xff\xff\xff\xffJ"
        + b"\xff\xff\xff\xffK\0tb.",
        "another encoding": name("_codecs", "encode") + text("x") + text("rot13") + b"\x86R.",
    }


def _sizes() -> dict[str, bytes]:
    """Sizes that the file does not hold, in arrays, texts, frames and the memo."""
    return {
        "array larger than its bytes": EMPTY
        + b"(K\x01M\xff\xffM\xff\xff\x86"
        + FLOATS
        + b"\x89C\x04abcdtb.",
        "array of a negative side": EMPTY
        + b"(K\x01J\xff\xff\xff\xff\x85"
        + FLOATS
        + b"\x89C\x04abcdtb.",
        "array of a list of objects": EMPTY + b"(K\x01K\x01\x85" + FLOATS + b"\x89]K\x01atb.",
        "array of 10**18 numbers": RECONSTRUCT
        + NDARRAY
        + b"\x8a\x08"
        + struct.pack("<q", 10**18)
        + b"\x85C\x01b\x87R.",
        "scalar of nothing": name("numpy._core.multiarray", "scalar") + FLOATS + b"C\0\x86R.",
        "bytes of a number": name("builtins", "bytes") + b"\x8a\x06\0\0\0\0\0\x10\x85R.",
        "frame of 2**62 bytes": b"\x80\x04\x95" + struct.pack("<Q", 1 << 62) + b"N.",
        "frame of 2 GB": b"\x80\x04\x95" + struct.pack("<Q", 1 << 31) + b"N.",
        "text of 2**40 bytes": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b"x.",
        "bytes of 2**40 bytes": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"x.",
        "bytearray of 2**40 bytes": b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"x.",
        "bytes of 3 GB": b"B" + struct.pack("<I", 3 << 30) + b"x.",
        "memory of 2**31 places": b"Nr\xff\xff\xff\x7f.",
        "memory of 2**62 places": b"Np" + str(1 << 62).encode() + b"\n.",
        "number of 10,000 digits": b"L" + b"9" * 10_000 + b"L\n.",
    }


def _endless_work() -> dict[str, bytes]:
    """Few bytes that take exponential or quadratic time, or too deep a recursion."""
    return {
        "doubled 60 times": b"]" + b"".join(b"q\0h\0h\0\x86\x85q\0" for _ in range(60)) + b".",
        "tuples as a key": TUPLES + b"}h\0Ns.",
        "tuples as keys": TUPLES + b"}(h\0Nu.",
        "tuples as a key, old": TUPLES + b"(h\0Nd.",
        "tuples as a key, filled with nothing": TUPLES + b"h\0(uq\0}h\0Ns.",
        "tuples as a key, built with nothing": TUPLES + b"h\0}bq\0}h\0Ns.",
        "tuples in a set": TUPLES + b"\x8f(h\0\x90.",
        "tuples in a frozen set": TUPLES + b"(h\0\x91.",
        "tuples in a set, old": TUPLES + name("builtins", "set") + b"]h\0a\x85R.",
        "tuples and what hides them": TUPLES + b"N0h\0}h\0Ns.",
        "keys that look alike": b"}"
        + b"".join(
            b"\x8a\x0a" + (number * (2**61 - 1)).to_bytes(10, "little") + b"Ns"
            for number in range(1, 9_000)
        )
        + b".",
        "nested 100,000 deep": b"]" * 100_000 + b"a" * 99_999 + b".",
    }


def _other_files() -> dict[str, bytes]:
    """Files that are no pickles."""
    return {
        "zip": zipped({"a": b"\0" * 10_000_000}),
        "gzip": b"\x1f\x8b\x08" + b"\0" * 100,
        "empty": b"",
        "no end": b"\x80\x04N",
        "no beginning": b".",
    }


def zipped(members: dict[str, bytes]) -> bytes:
    """The bytes of a zip."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return file.getvalue()
