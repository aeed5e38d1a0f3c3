"""Whatever is in a file, reading it gives a value or the project's own error, never another.

A few inputs a reader here; 13,000 each under the marker `nightly`, and 100,000 of datasets in
all formats. What once failed is kept as an example of its reader.
"""

import json
import pickle
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from captioning.data.captions import read_captions
from captioning.data.dataset import dataset_of
from captioning.data.descriptions import read_descriptions, write_descriptions
from captioning.data.keras_tokenizer import read_keras_tokenizer
from captioning.data.names import match_names
from captioning.data.other_files import read_vectors
from captioning.data.prepared import read_prepared_splits, read_tokenizer
from captioning.data.recognise import open_dataset
from captioning.data.splits import read_splits
from captioning.errors import CaptioningError
from captioning.files.network_files import read_network
from captioning.files.pickles import read_pickle, write_pickle
from captioning.files.text import read_json, write_json
from captioning.inference.description import read_description
from captioning.vision.features import read_features
from captioning.vision.images import UnreadableImageError, open_image
from captioning.vision.stamps import digest_of_file
from tests.conftest import ROOT
from tests.datasets import WRITERS
from tests.odd_images import encoded, picture
from tests.old_networks import build, save
from tests.old_pickles import (
    MODULES,
    attributes,
    pickled_tokenizer,
    python_2_tokenizer,
    python_2_vectors,
)
from tests.pickle_attacks import attacks

FEW, MANY, DATASETS = 60, 13_000, 100_000


@cache
def folder() -> Path:
    """A folder for one file at a time."""
    made = Path(tempfile.mkdtemp(prefix="fuzz-"))
    shutil.copytree(ROOT / "models" / "flickr8k-merge", made / "model")
    return made


def reads_or_refuses(read: Callable[[], object]) -> None:
    """Read a file: a value or the project's own error is fine, any other error is not."""
    try:
        read()
    except CaptioningError as error:
        assert str(error)


words = st.sampled_from(
    [
        "a.jpg",
        "b.png",
        "#0",
        "#1",
        "#",
        "\t",
        "\n",
        "\r\n",
        "\r",
        ",",
        '"',
        '""',
        "a dog",
        ".",
        " ",
        "image,caption",
        "image",
        "é",
        "\ufeff",
        "\0",
        "\u2028",
        "٣",
        "²",
        "x.jpg.1#0",
        "\\n",
        "\ud7ff",
    ]
)
texts = st.lists(words | st.text(max_size=5), max_size=20).map("".join).map(str.encode)
contents = texts | st.binary(max_size=80) | st.tuples(texts, st.binary(max_size=3)).map(b"".join)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["train", "dev", "made_by", "a.jpg", "../x", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=6) | st.sampled_from(["train", "dev", "vector_size", "beam"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
jsons = values.map(lambda value: json.dumps(value).encode()) | contents


@given(contents)
@example(b"a.jpg#\xc2\xb2\ta dog")
@example(b"a.jpg#0\ta\0dog")
def fuzz_tokens(content: bytes) -> None:
    (folder() / "text").mkdir(exist_ok=True)
    (folder() / "text" / "Flickr8k.token.txt").write_bytes(content)
    reads_or_refuses(lambda: read_captions(folder() / "text"))


@given(contents)
@example(b'image,caption\n"a.jpg,' + b"x" * 140_000)
@example(b"image,caption\na.jpg,a\rdog")
@example(b"\xef\xbb\xbfimage,caption\na\0.jpg,x")
def fuzz_table(content: bytes) -> None:
    (folder() / "table").mkdir(exist_ok=True)
    (folder() / "table" / "captions.txt").write_bytes(b"image,caption\n" + content)
    reads_or_refuses(lambda: read_captions(folder() / "table"))
    (folder() / "table" / "captions.txt").write_bytes(content)
    reads_or_refuses(lambda: read_captions(folder() / "table"))


@given(contents)
def fuzz_split_lists(content: bytes) -> None:
    (folder() / "lists").mkdir(exist_ok=True)
    for split in ("train", "dev"):
        (folder() / "lists" / f"Flickr_8k.{split}Images.txt").write_bytes(content)
    reads_or_refuses(lambda: read_splits(folder() / "lists"))


@given(contents)
def fuzz_descriptions(content: bytes) -> None:
    (folder() / "descriptions.txt").write_bytes(content)
    reads_or_refuses(lambda: read_descriptions(folder() / "descriptions.txt"))


# A byte-order mark at the file's beginning is dropped, so no name may begin with one.
letters = st.characters(codec="utf-8", exclude_characters="\ufeff")


@given(
    st.dictionaries(
        st.text(letters, min_size=1, max_size=9),
        st.lists(st.just("a dog"), min_size=1, max_size=2),
        max_size=3,
    )
)
@example({"a\tb\nc\r\\n\\.jpg": ["a dog"]})
@example({" ": ["a dog"]})
def fuzz_names_in_descriptions(captions: dict[str, list[str]]) -> None:
    """What is written is read back, whatever a photo's name."""
    file = folder() / "descriptions.txt"
    file.write_text(write_descriptions(captions), encoding="utf-8", newline="\n")
    assert read_descriptions(file) == captions


@given(jsons)
@example(b"9" * 5000)
@example(b"[" * 100_000)
def fuzz_json(content: bytes) -> None:
    (folder() / "splits.json").write_bytes(content)
    reads_or_refuses(lambda: read_json(folder() / "splits.json", "the file"))
    reads_or_refuses(lambda: read_prepared_splits(folder()))


@cache
def seeds() -> tuple[bytes, ...]:
    """Good pickles of every protocol, and all the attacks."""
    value = {"a.jpg": np.arange(6, dtype=np.float32).reshape(1, 6), "n": [np.float32(2), {1}]}
    good = [pickle.dumps(value, protocol) for protocol in range(6)]
    good += [pickle.dumps({"dog": 4, "cat": 5}, protocol) for protocol in range(6)]
    state = attributes(["start a dog end"])
    good += [pickled_tokenizer(MODULES[0], protocol, state) for protocol in range(6)]
    good += [python_2_tokenizer({"dog": 1}, protocol) for protocol in (0, 2)]
    good += [python_2_vectors({"a.jpg": value["a.jpg"]}, protocol) for protocol in (0, 2)]
    return *good, *(a for a in attacks(folder() / "it-ran").values() if len(a) < 5000)


instructions = st.lists(
    st.sampled_from(
        [
            bytes([code])
            for code in b"().012FNK]}ablostuqhjrpg\x80\x81\x82\x85\x86\x87"
            b"\x88\x89\x8a\x8c\x8d\x8f\x90\x91\x93\x94\x95\x96\x97c"
        ]
    )
    | st.sampled_from(
        [
            b"cnumpy\nndarray\n",
            b"cnumpy\ndtype\n",
            b"\x8c\x02f4",
            b"C\x04abcd",
            b"cnumpy._core.multiarray\n_reconstruct\n",
            b"K\x01",
            b"cos\nsystem\n",
            b"cnumpy._core.multiarray\nscalar\n",
            b"c_codecs\nencode\n",
            b"ckeras.preprocessing.text\nTokenizer\n",
            b"ccollections\nOrderedDict\n",
            b"ccopy_reg\n_reconstructor\n",
        ]
    )
    | st.binary(max_size=4),
    max_size=25,
).map(b"".join)


@given(st.data())
def fuzz_pickles(data: st.DataObject) -> None:
    if data.draw(st.booleans()):
        content = data.draw(instructions) + b"."
    else:
        content = bytearray(data.draw(st.sampled_from(seeds())))
        for _ in range(data.draw(st.integers(0, 4))):
            if content:
                place = data.draw(st.integers(0, len(content) - 1))
                content[place : place + data.draw(st.integers(0, 3))] = data.draw(
                    st.binary(max_size=3)
                )
    (folder() / "tokenizer.p").write_bytes(content)
    reads_or_refuses(lambda: read_pickle(folder() / "tokenizer.p", "the pickle"))
    reads_or_refuses(lambda: read_tokenizer(folder() / "tokenizer.p"))
    reads_or_refuses(lambda: read_keras_tokenizer(folder() / "tokenizer.p").markers)
    assert not (folder() / "it-ran").exists()


def changed(data: st.DataObject, content: bytes) -> bytes:
    """The content with a few bytes exchanged, lost or added."""
    found = bytearray(content)
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, len(found)))
        found[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    return bytes(found)


@given(st.data())
def fuzz_vectors_of_other_projects(data: st.DataObject) -> None:
    content = changed(data, data.draw(st.sampled_from(seeds())))
    (folder() / "features.pkl").write_bytes(content)
    reads_or_refuses(lambda: read_vectors(folder() / "features.pkl"))
    assert not (folder() / "it-ran").exists()


@cache
def networks() -> tuple[tuple[str, bytes], ...]:
    """A network in every form: the ending, and the content."""
    files = save(build(keras, "merge", 12, 5, 7), folder(), "network")
    return tuple((file.suffix, file.read_bytes()) for file in files)


@given(st.data())
def fuzz_networks_of_other_projects(data: st.DataObject) -> None:
    """Their reading; what is built of it, is built of known layers alone."""
    ending, content = data.draw(st.sampled_from(networks()))
    # Beside a .json are the weights, network_apart.weights.h5.
    file = folder() / f"network_apart{ending}"
    file.write_bytes(changed(data, content))
    reads_or_refuses(lambda: read_network(file))


@given(jsons, st.dictionaries(st.sampled_from(["num_words", "split", "filters"]), values))
@example(b'{"config": {"word_index": "[' + b"[" * 100_000 + b'"}}', {})
def fuzz_tokenizers_as_json(content: bytes, changes: dict) -> None:
    (folder() / "tokenizer.json").write_bytes(content)
    reads_or_refuses(lambda: read_keras_tokenizer(folder() / "tokenizer.json"))
    about = {"config": {"word_index": '{"start": 1, "end": 2}'} | changes}
    write_json(folder() / "tokenizer.json", about)
    reads_or_refuses(lambda: read_keras_tokenizer(folder() / "tokenizer.json").encode("start"))


@cache
def model_description() -> dict:
    """What the shipped model's captioner.json holds."""
    return json.loads((ROOT / "models" / "flickr8k-merge" / "captioner.json").read_text()) | {
        "words": ["a", "dog"]
    }


@given(
    st.dictionaries(st.sampled_from(sorted(model_description())), values, max_size=3),
    st.dictionaries(st.sampled_from(["name", "size", "beam", "length_power"]), values),
)
def fuzz_model_description(changes: dict, inner: dict) -> None:
    about = model_description() | changes
    for part in ("encoder", "decoding"):
        if isinstance(about[part], dict):
            about[part] = about[part] | inner
    (folder() / "model" / "captioner.json").write_text(json.dumps(about))
    reads_or_refuses(lambda: read_description(folder() / "model"))


@given(
    st.dictionaries(
        st.sampled_from(["made_by", "digest", "failed", "stamps", "grids", "rows"]), values
    ),
    st.booleans(),
)
@example({"made_by": {"vector_size": 2, "grid_side": 1 << 39}, "grids": "g"}, True)
@example({"grids": "\0"}, True)
@example({"grids": "\ud800"}, True)
def fuzz_features_description(changes: dict, sized: bool) -> None:
    here = folder() / "features"
    if not here.exists():
        here.mkdir()
        write_pickle(here / "features.p", {"a.jpg": np.zeros((1, 2), np.float32)})
    about = {
        "made_by": {"vector_size": 2, "grid_side": 1},
        "photos": 1,
        "failed": {},
        "digest": digest_of_file(here / "features.p"),
        "stamps": {"a.jpg": [1, 2]},
        "grids": None,
        "rows": {},
    } | changes
    if sized and isinstance(about["made_by"], dict):
        about["made_by"] = {"vector_size": 2, "grid_side": 1} | about["made_by"]
    write_json(here / "features.json", about)
    reads_or_refuses(lambda: read_features(here))


@cache
def photos() -> tuple[bytes, ...]:
    """A small photo in each format."""
    return tuple(
        encoded(picture(), name)
        for name in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "TGA", "PCX", "QOI")
    )


@given(st.data())
def fuzz_images(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(photos())))
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, min(len(content) - 1, 400)))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    (folder() / "x.jpg").write_bytes(content)
    try:
        assert open_image(folder() / "x.jpg", 1_000_000).mode == "RGB"
    except UnreadableImageError as error:
        assert str(error)


@cache
def dataset_files() -> dict[str, dict[Path, bytes]]:
    """A small dataset of each format: its files but for the photos, and what they hold."""
    found = {}
    for what, (_, write) in WRITERS.items():
        here = folder() / "datasets" / what
        here.mkdir(parents=True)
        write(here)
        files = [p for p in sorted(here.rglob("*")) if p.is_file() and p.suffix != ".jpg"]
        found[what] = {path: path.read_bytes() for path in files}
    return found


@given(st.data(), contents | jsons, st.booleans())
def fuzz_datasets(data: st.DataObject, content: bytes, is_changed: bool) -> None:
    """A dataset in any format, one of its files replaced, or changed at a few places."""
    what = data.draw(st.sampled_from(sorted(WRITERS)))
    file, good = data.draw(st.sampled_from(sorted(dataset_files()[what].items())))
    if is_changed:
        changed = bytearray(good)
        for _ in range(data.draw(st.integers(1, 4))):
            place = data.draw(st.integers(0, max(len(changed) - 1, 0)))
            changed[place : place + data.draw(st.integers(0, 4))] = data.draw(
                st.binary(max_size=4) | words.map(str.encode)
            )
        content = bytes(changed)

    def read() -> None:
        dataset = dataset_of(open_dataset(folder() / "datasets" / what))
        write_descriptions(dataset.captions).encode()
        for name in dataset.photos[:3]:
            with suppress(OSError):
                dataset.photo(name).read_bytes()

    # Another file at each time: pyarrow maps the one before.
    file.unlink()
    file.write_bytes(content)
    try:
        reads_or_refuses(read)
    finally:
        file.write_bytes(good)


names_of_photos = st.lists(
    st.text(max_size=6)
    | st.lists(
        st.sampled_from(
            ["a", "B", "1", ".jpg", ".JPG", "/", "\\", "#0", " ", "..", "é", "e\u0301"]
        ),
        max_size=6,
    ).map("".join),
    max_size=6,
)


@given(names_of_photos, names_of_photos)
@example(["a/1.jpg", "1.jpg"], ["b/1.jpg", "1.jpg"])
def fuzz_names_of_photos(written: list[str], photos: list[str]) -> None:
    """A name is matched with a photo that is there, one that is there with itself."""
    found = match_names(written, list(dict.fromkeys(photos)), folder() / "none")
    assert set(found) <= set(written)
    assert set(found.values()) <= set(photos)
    assert all(found[name] == name for name in written if name in photos)


READERS = [
    fuzz_datasets,
    fuzz_names_of_photos,
    fuzz_tokens,
    fuzz_table,
    fuzz_split_lists,
    fuzz_descriptions,
    fuzz_names_in_descriptions,
    fuzz_json,
    fuzz_pickles,
    fuzz_tokenizers_as_json,
    fuzz_vectors_of_other_projects,
    fuzz_networks_of_other_projects,
    fuzz_model_description,
    fuzz_features_description,
    fuzz_images,
]
pytestmark = pytest.mark.filterwarnings("ignore")


def try_inputs(reader: Callable, inputs: int) -> None:
    settings(
        max_examples=inputs,
        deadline=None,
        database=None,
        derandomize=inputs == FEW,
        suppress_health_check=list(HealthCheck),
    )(reader)()


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_a_reader_gives_a_value_or_our_error(reader: Callable) -> None:
    try_inputs(reader, FEW)


@pytest.mark.nightly
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_a_reader_gives_a_value_or_our_error_many_times(reader: Callable) -> None:
    try_inputs(reader, DATASETS if reader is fuzz_datasets else MANY)
