"""Captions from vectors: whole prefixes through `predict`, against kept hidden states."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks import classic
from benchmarks.comparison import Comparison, alternate
from benchmarks.synthetic import random_vectors


def compare_decoding(
    folder: Path, photos: int = 1000, few: int = 8, rounds: int = 3
) -> Iterator[Comparison]:
    """Greedy captions from vectors, then a beam of five, with the merge model in `folder`.

    photos: how many vectors ours decodes; few: how many of them the classic way does.
    """
    from captioning.inference.loading import load
    from captioning.inference.trained_model import load_trained_model

    captioner, model = load(folder, runtime="keras"), load_trained_model(folder).model
    vectors = random_vectors(model, photos)
    longest = captioner.trained_model.max_length
    old = classic.build(
        model.inputs[0].shape[-1],
        captioner.trained_model.tokenizer.size,
        model.get_layer("photo_dense").units,
        longest + 1,
    )
    classic.take_weights(old, model)
    found: dict[str, list] = {}

    def whole_prefixes() -> int:
        found["classic"] = [classic.caption(old, vector, longest + 1) for vector in vectors[:few]]
        return few

    def in_batches(beam: int = 1) -> int:
        found["ours"] = [best[0].tokens for best in captioner.decoder.decode(vectors, beam=beam)]
        return photos

    whole_prefixes(), in_batches(), in_batches(5)  # compiled before the clock starts
    rates = alternate(whole_prefixes, in_batches, rounds)
    pairs = zip(found["classic"], found["ours"][:few], strict=True)
    same = sum(one == other for one, other in pairs)
    checks = {"same captions": f"{same} of {few}"}
    yield Comparison.faster("greedy captions", "captions/s", rates, 150.0, checks=checks)
    rates = alternate(in_batches, lambda: in_batches(5), rounds)
    yield Comparison.slower("beam 5 against greedy", "captions/s", rates, 4.0)
