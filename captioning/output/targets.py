"""Where the files of a run go, and what keeps them from harming files that exist."""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from captioning.errors import CaptioningError
from captioning.files.locks import locked


class UnwritableError(CaptioningError):
    """The caption of this one photo can't be written; the message is the reason."""


def only_writer(output: Path) -> AbstractContextManager[None]:
    """Keep an output file or folder to this process, by a lock file beside it.

    Entering raises `CaptioningError` at once if another process holds it.
    """
    output = output.resolve()
    return locked(output.with_name(f".{output.name}.lock"), output, "name another with -o")


def targets_of(
    photos: Sequence[Path],
    given: Sequence[Path],
    folder: Path | None,
    ending: str = "",
    short: bool = False,
) -> dict[Path, Path]:
    """For each photo the file to be made of it: beside it, or at its place in `folder`.

    given: the files and folders that the photos came from; a photo has the same place in
    `folder` as in the folder given; ending: of the file, behind the photo's name, or with `short`
    in place of its own ending. Raises `CaptioningError` if two photos would make one
    file, a file would be written over a photo, or the folder is a file.
    """
    if folder is not None and folder.exists() and not folder.is_dir():
        raise CaptioningError(f"{folder} is a file, where a folder is needed")
    # By device and inode, not by path: a photo has more than one path through links.
    originals = {
        (stat.st_dev, stat.st_ino): photo for photo in photos if (stat := stat_or_none(photo))
    }
    targets: dict[Path, Path] = {}
    sources: dict[Path, Path] = {}  # the photo of each target
    for photo in photos:
        roots = [root for root in given if root != photo and photo.is_relative_to(root)]
        place = photo.relative_to(roots[0]) if roots else Path(photo.name)
        target = photo if folder is None else folder / place
        target = target.with_suffix(ending) if short else target.with_name(target.name + ending)
        if target in sources:
            raise CaptioningError(
                f"{sources[target]} and {photo} would both become {target}; "
                + (
                    "leave --short-names out"
                    if short and sources[target].parent == photo.parent
                    else "caption them in two runs, or give the folder that contains both, with "
                    "--recursive"
                )
            )
        existing = stat_or_none(target)
        if existing and (existing.st_dev, existing.st_ino) in originals:
            raise CaptioningError(f"{target} is one of the photos, and photos are never changed")
        targets[photo], sources[target] = target, photo
    return targets


def refuse_inside(folder: Path, given: Sequence[Path]) -> None:
    """Raise `CaptioningError` if the folder of copies lies in a folder that is captioned."""
    for root in given:
        if folder.resolve().is_relative_to(root.resolve()):
            raise CaptioningError(
                f"the copies in {folder} would be captioned themselves the next time, as they lie "
                f"in {root}; name a folder outside of it"
            )


def refuse_existing(existing: Sequence[Path], hint: str = "") -> None:
    """Raise `CaptioningError` if there are files, where new ones are to be made.

    hint: what else may be done than to keep or to replace them.
    """
    if existing:
        more = f" and {len(existing) - 1:,} more exist" if len(existing) > 1 else " exists"
        raise CaptioningError(
            f"{existing[0]}{more} already; --resume keeps them and makes the others, "
            f"--overwrite replaces them{hint}"
        )


def stat_or_none(path: Path) -> os.stat_result | None:
    """What the system knows of a file; None if it is missing or can't be reached."""
    try:
        return path.stat()
    except OSError:
        return None


def refuse_read_only(targets: dict[Path, Path]) -> None:
    """Raise `CaptioningError` if nothing can be written into any of the targets' folders."""
    folders = {target.parent for target in targets.values() if target.parent.is_dir()}
    if folders and not any(os.access(folder, os.W_OK) for folder in folders):
        raise CaptioningError(
            f"{sorted(folders)[0]} can't be written to; name a folder for the results with -o"
        )
