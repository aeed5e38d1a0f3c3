"""Photos that a model was trained on are not scored."""

from collections.abc import Iterable
from pathlib import Path

from captioning.data.prepared import Prepared
from captioning.errors import CaptioningError
from captioning.evaluation.photos import ALL, some_of
from captioning.inference.captioner import Captioner
from captioning.inference.trained_on import trained_on


def refuse_overlap(
    names: Iterable[str],
    split: str,
    folder: Path,
    train: list[str],
    contents: dict[str, str] | None = None,
) -> None:
    """Raise `CaptioningError` with the list when photos to score were trained on.

    train: the training photos of the data at hand; the model's own list counts as well, and for
    the split "all", which holds them, alone, if there is one. contents: SHA-256 of photos, by
    which one is known under another name.
    """
    names, contents = set(names), contents or {}
    own = trained_on(folder, names, contents)
    shared = own or set()
    if own is None or split != ALL:
        known = {contents[name] for name in train if name in contents}
        shared |= names & set(train) | {n for n in names if contents.get(n) in known}
    if shared:
        raise CaptioningError(
            f"{len(shared):,} photos of the {split} split were trained on: "
            f"{some_of(sorted(shared))}; scores on them mean little; "
            "--allow-overlap scores them all the same"
        )


def training_captions(captioner: Captioner, prepared: Prepared) -> list[str]:
    """The captions that a model was trained on, if the data at hand are those; else none."""
    train = prepared.splits.get("train", [])
    own = trained_on(captioner.trained_model.folder, train, prepared.features.contents)
    if own is not None and len(own) < len(train):
        return []
    return [row for name in train for row in prepared.captions[name]]
