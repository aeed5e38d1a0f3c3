"""The overlap of photos to score with training photos: scores on those mean little."""

from collections.abc import Iterable
from pathlib import Path

from captioning.data.flickr8k_photos import photo_id, read_flickr8k_names
from captioning.data.prepared import Prepared
from captioning.errors import CaptioningError
from captioning.evaluation.photos import ALL, first_names
from captioning.inference.captioner import Captioner
from captioning.inference.trained_on import trained_on

FLICKR8K_TEXT = Path("Flickr_8k_text")
"""Where Flickr8k's own text files are, if anywhere: they tell its photos in Flickr30k."""


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
    own = trained_on(folder, names, contents, read_flickr8k_names(FLICKR8K_TEXT))
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
            f"{_way_out(names, overlap)}--allow-overlap scores them all the same"
        )


def _way_out(names: set[str], overlap: set[str]) -> str:
    """The option that leaves out just these photos, where they are Flickr8k's in Flickr30k."""
    flickr = {name for name in overlap if photo_id(name)}
    if not flickr or flickr == names:
        return ""
    return (
        "Flickr30k holds all photos of Flickr8k: --exclude-flickr8k leaves them out by their ids; "
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
