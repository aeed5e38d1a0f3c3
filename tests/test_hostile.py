"""Files from strangers: whatever they hold, only a CaptioningError comes of it and nothing runs."""

import io
import json
import os
import pickle
import resource
import shutil
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from captioning import load
from captioning.data.download import download_flickr8k
from captioning.decoders.build import build_decoder
from captioning.decoders.kinds import Architecture
from captioning.errors import CaptioningError
from captioning.files.keras_files import check_keras_file
from captioning.files.pickles import read_pickle
from captioning.files.text import read_json
from captioning.inference.description import read_description
from captioning.inference.trained_model import load_trained_model
from captioning.vision.features import read_features
from tests.conftest import ROOT

TRACE = "it-ran"
MODEL = ROOT / "models" / "flickr8k-merge"


@contextmanager
def little_memory(megabytes: int = 512) -> Iterator[None]:
    """Let no more memory be taken than that beyond what is taken already."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


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
    """Pickles that would run something, fill the memory, or change the program."""
    system = f"touch {trace}"
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
        "another encoding": name("_codecs", "encode") + text("x") + text("rot13") + b"\x86R.",
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
        "zip": zipped({"a": b"\0" * 10_000_000}),
        "gzip": b"\x1f\x8b\x08" + b"\0" * 100,
        "empty": b"",
        "no end": b"\x80\x04N",
        "no beginning": b".",
    }
    for key in ("reduce, nested",):
        for protocol in range(6):
            found[f"{key}, protocol {protocol}"] = pickle.dumps({"a": [(run,)]}, protocol)
    return found


def zipped(members: dict[str, bytes]) -> bytes:
    """The bytes of a zip."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return file.getvalue()


HARMLESS = {"doubled 60 times", "array of 10**18 numbers"}
"""Plain data after all, of a few bytes; they may be read, as long as nothing comes of it."""


def test_no_pickle_runs_anything_or_takes_the_memory(tmp_path: Path) -> None:
    """At least 50 attacks; half a gigabyte of memory must do for all of them."""
    trace, file = tmp_path / TRACE, tmp_path / "features.p"
    found = attacks(trace)
    assert len(found) >= 50
    read = set()
    types = repr([np.dtype(code).str for code in "fdbhil"])
    with little_memory():
        for what, content in found.items():
            file.write_bytes(content)
            try:
                read_pickle(file, "the vectors")
            except CaptioningError:
                continue
            finally:
                assert not trace.exists(), what
            read.add(what)
    assert read <= HARMLESS
    assert repr([np.dtype(code).str for code in "fdbhil"]) == types
    value = {"a.jpg": np.arange(3, dtype=np.float32)}
    file.write_bytes(pickle.dumps(value))
    np.testing.assert_array_equal(read_pickle(file, "the vectors")["a.jpg"], value["a.jpg"])


def rewritten(folder: Path, **changes: object) -> Path:
    """A copy of the shipped model with other members in its `.keras` file; None drops one."""
    shutil.copytree(MODEL, folder)
    with zipfile.ZipFile(MODEL / "model.keras") as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    for member, content in changes.items():
        member = {"config": "config.json", "weights": "model.weights.h5"}.get(member, member)
        if content is None:
            del members[member]
        else:
            members[member] = content
    with zipfile.ZipFile(folder / "model.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return folder


def config_with(layer: dict, place: int = 2) -> bytes:
    """The shipped model's description with one layer exchanged."""
    with zipfile.ZipFile(MODEL / "model.keras") as archive:
        config = json.loads(archive.read("config.json"))
    config["config"]["layers"][place] |= layer
    return json.dumps(config).encode()


def chain_of(layers: int, units: int) -> bytes:
    """The description of a model of so many dense layers, each after the other."""
    weightless = keras.StatelessScope(initialize_variables=False)
    with weightless:
        inputs = found = keras.Input((units,))
        for _ in range(layers):
            found = keras.layers.Dense(units)(found)
        return json.dumps(keras.saving.serialize_keras_object(keras.Model(inputs, found))).encode()


def weights_with(change: object) -> bytes:
    """The shipped model's weights after a change of the open file."""
    with zipfile.ZipFile(MODEL / "model.keras") as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content, "r+") as file:
        change(file)
    return content.getvalue()


def hostile_models(folder: Path) -> Iterator[tuple[str, dict[str, object]]]:
    """What each hostile `.keras` file has in place of its parts."""
    trace = folder / TRACE
    lambda_layer = keras.layers.Lambda(lambda x: x)
    code = keras.saving.serialize_keras_object(lambda_layer)
    called = {
        "module": "os",
        "class_name": "system",
        "config": f"touch {trace}",
        "registered_name": None,
    }
    yield "Lambda layer", {"config": config_with(code)}
    yield (
        "Lambda by another name",
        {"config": config_with({**code, "module": "keras.src.layers.core.lambda_layer"})},
    )
    yield "os.system as a layer", {"config": config_with(called)}
    yield (
        "os.system as an activation",
        {
            "config": config_with(
                {"config": {"name": "x", "activation": {**called, "class_name": "function"}}}
            )
        },
    )
    yield (
        "get_file as an initializer",
        {
            "config": config_with(
                {
                    "config": {
                        "units": 8,
                        "kernel_initializer": {
                            "module": "keras.utils",
                            "class_name": "get_file",
                            "config": {"origin": "http://127.0.0.1:9/x"},
                        },
                    }
                }
            )
        },
    )
    yield (
        "unsafe deserialization switched on",
        {
            "config": config_with(
                {
                    "module": "keras.config",
                    "class_name": "enable_unsafe_deserialization",
                    "config": {},
                }
            )
        },
    )
    yield (
        "our name on another's function",
        {
            "config": config_with(
                {
                    "module": "captioning.files.text",
                    "class_name": "write_text",
                    "registered_name": "captioning>write_text",
                }
            )
        },
    )
    yield (
        "layer that reads files",
        {
            "config": config_with(
                {
                    "module": "keras.layers",
                    "class_name": "StringLookup",
                    "config": {"vocabulary": "/etc/passwd"},
                }
            )
        },
    )
    yield (
        "TensorFlow's saved model",
        {
            "config": config_with(
                {
                    "module": "keras.layers",
                    "class_name": "TFSMLayer",
                    "config": {"filepath": "/tmp"},
                }
            )
        },
    )
    yield (
        "layer of 10**12 units",
        {
            "config": config_with(
                {"module": "keras.layers", "class_name": "Dense", "config": {"units": 10**12}}
            )
        },
    )
    yield (
        "layer of 2,539 x 10**6",
        {"config": config_with({"config": {"input_dim": 10**6, "output_dim": 2539}})},
    )
    yield "99 layers where the weights have one", {"config": chain_of(99, 2048)}
    yield "no description", {"config": None}
    yield "description of nothing", {"config": b"null"}
    yield "description of a list", {"config": b"[]"}
    yield "description that is no JSON", {"config": b"{"}
    yield "description nested deeply", {"config": b"[" * 200_000}
    yield (
        "description of another model",
        {"config": b'{"class_name": "Functional", "module": "keras", "config": {}}'},
    )
    yield "member that leaves the folder", {"../../outside.txt": b"x"}
    yield "member of an absolute path", {"/tmp/outside.txt": b"x"}
    yield "zip bomb", {"weights": b"\0" * 300_000_000}
    yield "weights that are none", {"weights": b"x" * 1000}
    yield (
        "weights with a link to a file",
        {
            "weights": weights_with(
                lambda f: f.__setitem__("link", h5py.ExternalLink("/etc/passwd", "/"))
            )
        },
    )
    yield (
        "weights with a soft link",
        {"weights": weights_with(lambda f: f.__setitem__("link", h5py.SoftLink("/layers")))},
    )
    yield (
        "weights in another file",
        {
            "weights": weights_with(
                lambda f: f.create_dataset("x", (9,), "u1", external=[("/etc/passwd", 0, 9)])
            )
        },
    )
    yield (
        "weights of 4 TB",
        {
            "weights": weights_with(
                lambda f: f.create_dataset("x", (10**6, 10**6), "f4", chunks=(100, 100))
            )
        },
    )
    yield (
        "weights that are objects",
        {"weights": weights_with(lambda f: f.create_dataset("x", (9,), h5py.string_dtype()))},
    )
    yield (
        "weights in a circle",
        {"weights": weights_with(lambda f: f["layers"].__setitem__("layers", f["layers"]))},
    )


def test_no_model_file_runs_anything_or_takes_the_memory(tmp_path: Path) -> None:
    seen = 0
    for number, (what, changes) in enumerate(hostile_models(tmp_path)):
        folder = rewritten(tmp_path / f"m{number}", **changes)
        with little_memory(2048), pytest.raises(CaptioningError, match=r"model\.keras"):
            load_trained_model(folder)
            pytest.fail(f"{what} was read")
        assert not (tmp_path / TRACE).exists(), what
        shutil.rmtree(folder)
        seen += 1
    assert seen >= 25
    load_trained_model(rewritten(tmp_path / "whole"))  # and the model itself, packed anew, is read


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38])
def test_a_model_of_no_numbers_ends_in_a_message(tmp_path: Path, value: float) -> None:
    def spoil(name: str, part: object) -> None:
        if isinstance(part, h5py.Dataset) and part.ndim:
            part[...] = np.full(part.shape, value, np.float32)

    weights = weights_with(lambda file: file.visititems(spoil))
    captioner = load(rewritten(tmp_path / "model", weights=weights))
    vectors = np.ones((2, captioner.trained_model.encoder["vector_size"]), np.float32)
    for beam in (1, 3):
        with pytest.raises(CaptioningError, match="is not finite"):
            captioner.decoder.decode(vectors, beam=beam)


def test_a_model_of_many_words_is_read(tmp_path: Path) -> None:
    """What is refused is what the weights don't hold, not what is large."""
    file = tmp_path / "model.keras"
    build_decoder(Architecture("merge", 16, 0.5), (64,), 12_000, 20).save(file)
    check_keras_file(file)


WRONG = (None, True, -1, 0, 10**30, 0.5, float("nan"), float("inf"), "", "x", [], [1], {}, {"x": 1})


def test_a_description_of_wrong_kinds_is_refused(tmp_path: Path) -> None:
    """Each part of captioner.json in turn holds what it can't be."""
    folder = tmp_path / "model"
    shutil.copytree(MODEL, folder)
    about = json.loads((folder / "captioner.json").read_text())
    places = [
        (key,)
        for key in (
            "format",
            "encoder",
            "max_length",
            "decoding",
            "cleaning",
            "words",
            "trained_at",
        )
    ]
    places += [("encoder", key) for key in about["encoder"] if key != "weights"]
    places += [("decoding", key) for key in about["decoding"]]
    about["decoding"]["views"] = 2
    places.append(("decoding", "views"))
    tried = 0
    for place in places:
        for wrong in (*WRONG, ["two words"], ["\x1b[31m"], ["\ud800"], ["a", "a"]):
            broken = json.loads(json.dumps(about))
            part = broken if len(place) == 1 else broken[place[0]]
            fitting = (
                type(wrong) is type(part[place[-1]])
                and wrong not in ([], {}, [1])
                or place == ("decoding", "length_power")
                and type(wrong) in (int, float)
            )
            if fitting and place != ("words",) or wrong == part[place[-1]]:
                continue
            part[place[-1]] = wrong
            (folder / "captioner.json").write_text(json.dumps(broken))
            with pytest.raises(CaptioningError):
                read_description(folder)
                load_trained_model(folder)
                pytest.fail(f"{place} {wrong!r} was read")
            tried += 1
    assert tried > 200
    for whole in ("null", "[]", "3", "{", '"x"', "[" * 100_000, "9" * 5000, "\xff"):
        (folder / "captioner.json").write_text(whole, encoding="latin-1")
        with pytest.raises(CaptioningError):
            read_description(folder)


def test_a_description_of_vectors_of_wrong_kinds_is_refused(
    data_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(data_folder, folder)
    about = json.loads((folder / "features.json").read_text())
    for key in ("made_by", "digest", "failed", "stamps", "grids", "rows"):
        for wrong in WRONG:
            if key == "grids" and wrong in (None, "x"):
                continue
            if wrong == {} and key != "made_by":
                continue
            broken = about | {key: wrong}
            (folder / "features.json").write_text(json.dumps(broken))
            with pytest.raises(CaptioningError):
                read_features(folder)
                pytest.fail(f"{key} {wrong!r} was read")
    grids = {"grids": "../../../etc/passwd", "rows": {"a.jpg": [0]}}
    (folder / "features.json").write_text(json.dumps(about | grids))
    with pytest.raises(CaptioningError, match=r"data.passwd is missing"):
        read_features(folder)


def test_a_file_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "x.json").open("wb") as file:
        file.truncate(3 << 30)  # of no size on the disk
    with little_memory(), pytest.raises(CaptioningError, match="more than 1,073,741,824 bytes"):
        read_json(tmp_path / "x.json", "the description")


@pytest.mark.parametrize(
    "source",
    [
        "http://example.com/x",
        "ftp://example.com/x",
        "file:///etc",
        "javascript:x",
        "",
        "http://127.0.0.1.example.com",
    ],
)
def test_only_https_is_downloaded_from(tmp_path: Path, source: str) -> None:
    with pytest.raises(CaptioningError, match="https"):
        download_flickr8k(tmp_path / "a" / "images", tmp_path / "a" / "text", source)
    assert not (tmp_path / "a").exists()
