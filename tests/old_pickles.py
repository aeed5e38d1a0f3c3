"""Pickles as other projects' programs wrote them, though their modules aren't installed here."""

import io
import pickle
import sys
import types
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

MODULES = (
    "keras.preprocessing.text",
    "keras_preprocessing.text",
    "tensorflow.python.keras.preprocessing.text",
    "keras.src.preprocessing.text",
    "keras.src.legacy.preprocessing.text",
)
"""Where Keras' `Tokenizer` was, over the years."""


def attributes(captions: list[str], **own: object) -> dict[str, object]:
    """What Keras' Tokenizer has after `fit_on_texts(captions)`, with all its kinds of maps."""
    counts: OrderedDict[str, int] = OrderedDict()
    documents: defaultdict[str, int] = defaultdict(int)
    for caption in captions:
        words = caption.split()
        for word in words:
            counts[word] = counts.get(word, 0) + 1
        for word in set(words):
            documents[word] += 1
    by_count = sorted(counts, key=counts.__getitem__, reverse=True)
    if own.get("oov_token") is not None:
        by_count.insert(0, own["oov_token"])
    index = {word: number for number, word in enumerate(by_count, 1)}
    index_documents = defaultdict(int, {index[word]: count for word, count in documents.items()})
    return {
        "word_counts": counts,
        "word_docs": documents,
        "filters": '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n',
        "split": " ",
        "lower": True,
        "num_words": None,
        "document_count": len(captions),
        "char_level": False,
        "oov_token": None,
        "index_docs": index_documents,
        "word_index": index,
        "index_word": {number: word for word, number in index.items()},
        "analyzer": None,
        **own,
    }


def pickled_tokenizer(module: str, protocol: int, state: dict[str, object]) -> bytes:
    """A pickled `Tokenizer` of that module with these attributes."""
    kind = type("Tokenizer", (), {"__module__": module, "__qualname__": "Tokenizer"})
    made = kind()
    made.__dict__.update(state)
    with _module(module, Tokenizer=kind):
        return pickle.dumps(made, protocol)


@contextmanager
def _module(name: str, **content: object) -> Iterator[None]:
    """For a moment, a module of that name: pickle looks up what it names."""
    parts = name.split(".")
    names = [".".join(parts[: count + 1]) for count in range(len(parts))]
    before = {name: sys.modules[name] for name in names if name in sys.modules}
    sys.modules.update({name: types.ModuleType(name) for name in names if name not in before})
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(content)
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]
        sys.modules.update(before)


def python_2_text(text: bytes, protocol: int) -> bytes:
    """A text as Python 2 pickled it: bytes, in quotes or counted."""
    if protocol == 0:
        quoted = text.decode("latin-1").encode("unicode_escape").replace(b"'", b"\\'")
        return b"S'" + quoted + b"'\n"
    if len(text) < 256:
        return b"U" + bytes([len(text)]) + text
    return b"T" + len(text).to_bytes(4, "little") + text


def python_2_tokenizer(index: dict[str, int], protocol: int) -> bytes:
    """A Tokenizer as Python 2 and Keras 2.0 pickled it: no `index_word`, texts of bytes."""

    def text(value: str) -> bytes:
        return python_2_text(value.encode(), protocol)

    def number(value: int) -> bytes:
        return b"I%d\n" % value

    pairs = [b"(" + text(word) + number(count) + b"l" for word, count in index.items()]
    ordered = b"ccollections\nOrderedDict\n((" + b"".join(pairs) + b"ltR"
    words = b"(" + b"".join(text(word) + number(place) for word, place in index.items()) + b"d"
    state = b"".join(
        [
            text("word_counts") + ordered,
            text("word_docs") + b"ccollections\ndefaultdict\n(c__builtin__\nint\ntR",
            text("filters") + text('!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'),
            text("split") + text(" ") + text("lower") + b"I01\n" + text("num_words") + b"N",
            text("document_count") + number(1) + text("char_level") + b"I00\n",
            text("word_index") + words,
        ]
    )
    made = (
        b"ccopy_reg\n_reconstructor\n(ckeras.preprocessing.text\nTokenizer\nc__builtin__\nobject\nNtR"
        if protocol < 2
        else b"\x80\x02ckeras.preprocessing.text\nTokenizer\n)\x81"
    )
    return made + b"(" + state + b"db."


def python_2_vectors(vectors: dict[str, np.ndarray], protocol: int) -> bytes:
    """{name: vector} as Python 2 and numpy 1 pickled it."""
    parts = [b"("]
    for name, vector in vectors.items():
        sides = b"".join(b"I%d\n" % side for side in vector.shape)
        kind = vector.dtype.str[1:].encode()
        parts += [
            python_2_text(name.encode(), protocol),
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\nt",
            python_2_text(b"b", protocol),
            b"tR(I1\n(" + sides + b"tcnumpy\ndtype\n(",
            python_2_text(kind, protocol),
            b"I0\nI1\ntR(I3\n" + python_2_text(b"<", protocol) + b"NNNI-1\nI-1\nI0\ntb",
            b"I00\n" + python_2_text(vector.tobytes(), protocol) + b"tb",
        ]
    return b"".join([*parts, b"d."])


def with_numpy_1(pickled: bytes) -> bytes:
    """A pickle of protocol 0 to 2 as numpy 1 wrote it, which had no module `numpy._core`."""
    return pickled.replace(b"numpy._core.", b"numpy.core.")


def by_old_program(pickled: bytes) -> object:
    """What an old program reads: by plain pickle, with a numpy that has no `numpy._core`."""

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> object:
            assert "_core" not in module, f"numpy 1 has no {module}"
            return super().find_class(module, name)

    return Unpickler(io.BytesIO(pickled)).load()
