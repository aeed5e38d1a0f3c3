"""Where captions go: standard output, a file that grows, sidecars, copies that carry them.

Each output says whether it `has` a photo's caption already, takes one (`write`), and ends
(`finish`).
"""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from captioning.errors import CaptioningError
from captioning.files.locks import locked


class NoCopyError(CaptioningError):
    """A photo that can have no sidecar or described copy; the message is the reason."""


def only_writer(output: Path) -> AbstractContextManager[None]:
    """Keep an output file or folder to this process, by a lock file beside it.

    Entering raises `CaptioningError` at once when another process has it.
    """
    output = output.resolve()
    return locked(output.with_name(f".{output.name}.lock"), output, "name another with -o")


def targets_of(
    photos: Sequence[Path], given: Sequence[Path], folder: Path | None, ending: str = ""
) -> dict[Path, Path]:
    """For each photo the file made of it: beside it, or at its place in `folder`.

    given: the files and folders that the photos came from; a photo has the same place in
    `folder` as in the folder given. Raises `CaptioningError` when two photos would make one
    file, a file would be made over a photo, or the folder is a file.
    """
    if folder is not None and folder.exists() and not folder.is_dir():
        raise CaptioningError(f"{folder} is a file, where a folder is wanted")
    originals = {
        (stat.st_dev, stat.st_ino): photo for photo in photos if (stat := stat_or_none(photo))
    }
    targets: dict[Path, Path] = {}
    makers: dict[Path, Path] = {}
    for photo in photos:
        roots = [root for root in given if root != photo and photo.is_relative_to(root)]
        place = photo.relative_to(roots[0]) if roots else Path(photo.name)
        target = photo if folder is None else folder / place
        target = target.with_name(target.name + ending)
        if target in makers:
            raise CaptioningError(
                f"{makers[target]} and {photo} would both become {target}; caption them in two "
                "runs, or give the folder that holds both, with --recursive"
            )
        there = stat_or_none(target)
        if there and (there.st_dev, there.st_ino) in originals:
            raise CaptioningError(f"{target} is one of the photos, and photos are never changed")
        targets[photo], makers[target] = target, photo
    return targets


def refuse_inside(folder: Path, given: Sequence[Path]) -> None:
    """Raise `CaptioningError` when the folder of copies lies in one whose photos are captioned."""
    for root in given:
        if folder.resolve().is_relative_to(root.resolve()):
            raise CaptioningError(
                f"the copies in {folder} would be captioned themselves the next time, as they lie "
                f"in {root}; name a folder outside"
            )


def refuse_existing(targets: dict[Path, Path]) -> None:
    """Raise `CaptioningError` when one of the files to be made is there already."""
    there = [target for target in targets.values() if stat_or_none(target)]
    if there:
        more = f" and {len(there) - 1:,} more are" if len(there) > 1 else " is"
        raise CaptioningError(
            f"{there[0]}{more} there already; --resume keeps them and makes the rest, "
            "--overwrite makes them anew"
        )


def stat_or_none(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
