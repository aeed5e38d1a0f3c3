"""The overlap of photos to score with training photos: scores on those mean little."""

from collections.abc import Iterable
from pathlib import Path

from captioning.data.prepared import Prepared
from captioning.errors import CaptioningError
from captioning.evaluation.photos import ALL, first_names
from captioning.inference.captioner import Captioner
from captioning.inference.trained_on import trained_on


def refuse_overlap(
    names: Iterable[str],
    split: str,
    folder: Path,
    train: list[str],
    contents: dict[str, str] | None = None,
) -> None:
    """Raise `CaptioningError` with the list of photos that are to be scored but were trained on.

    folder: the model's, with its own list of training photos; train: the training photos of the
    data; contents: SHA-256 of photos' files by name, which finds renamed copies.
    """
    names, contents = set(names), contents or {}
    own = trained_on(folder, names, contents)
    overlap = own or set()
    # The split "all" contains the data's training photos, which say nothing about a model that
    # has a list of its own. In all other cases both lists count.
    if own is None or split != ALL:
        digests = {contents[name] for name in train if name in contents}
        overlap |= names & set(train) | {n for n in names if contents.get(n) in digests}
    if overlap:
        raise CaptioningError(
            f"{len(overlap):,} photos of the {split} split were trained on: "
            f"{first_names(sorted(overlap))}; scores on them mean little; "
            "--allow-overlap scores them all the same"
        )


def training_captions(captioner: Captioner, prepared: Prepared) -> list[str]:
    """The captions that a model was trained on; none unless the data have all of its photos."""
    train = prepared.splits.get("train", [])
    own = trained_on(captioner.trained_model.folder, train, prepared.features.contents)
    if own is not None and len(own) < len(train):
        return []
    return [row for name in train for row in prepared.captions[name]]


def is_trained_on(captioner: Captioner, prepared: Prepared) -> bool:
    """Whether these are the data of the model's training: it has seen most of their train split.

    True as well where the model's folder doesn't say what it was trained on.
    """
    train = prepared.splits.get("train", [])
    own = trained_on(captioner.trained_model.folder, train, prepared.features.contents)
    return own is None or 2 * len(own) > len(train)
