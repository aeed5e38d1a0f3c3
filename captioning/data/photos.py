"""Image files: those of a folder by name, those that command-line arguments stand for."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path

from captioning.errors import CaptioningError, command_line
from captioning.files.folders import check_folder

IMAGE_ENDINGS = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".gif", ".webp", ".tif", ".tiff"),
    *(".heic", ".heif", ".hif", ".heics", ".heifs", ".avif", ".avifs", ".bmp", ".dib", ".qoi"),
    *(".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    *(".tga", ".icb", ".vda", ".vst", ".sgi", ".rgb", ".rgba", ".bw", ".pcx", ".dds", ".xbm"),
    *(".ico", ".icns"),
}
"""File name endings, in lower case, of what is taken for a photo in a folder: all those of the
formats that `vision.images` opens. (A list: to ask Pillow loads the code of every format.)"""

_NOT_PHOTOS = {
    *("@eaDir", "#recycle", "@Recycle", "@Recently-Snapshot"),
    *("__MACOSX", "$RECYCLE.BIN", "System Volume Information", "lost+found"),
}
"""Folders that file servers and systems make beside photos: thumbnails, and what was deleted."""


@dataclass
class Found:
    """What command-line arguments stand for.

    empty: the given folders that hold no photo; unreadable: {folder: why it can't be listed}.
    """

    photos: list[Path] = field(default_factory=list)
    empty: list[Path] = field(default_factory=list)
    unreadable: dict[Path, str] = field(default_factory=dict)


def check_photos_folder(folder: Path) -> None:
    """Raise `CaptioningError` unless there is such a folder of a dataset's photos."""
    check_folder(folder, "the folder of photos", _other_folder())


def _other_folder() -> str:
    return (
        f"name another with --images, or fetch Flickr8k with: {command_line('features')} --download"
    )


def list_photos(folder: Path, recursive: bool = False) -> list[str]:
    """The names of the image files in a folder, sorted; with `recursive` as paths inside it.

    Left out are hidden files and folders (names that begin with a dot) and those of `_NOT_PHOTOS`.
    Raises `CaptioningError` when the folder is missing, can't be read or holds no image file.
    """
    check_photos_folder(folder)
    names = _names(folder, recursive, _refuse)
    if not names:
        raise CaptioningError(f"the folder {folder} holds no image file; {_other_folder()}")
    return names


def find_photos(folder: Path) -> list[str]:
    """The image files in a folder and in those below it, as paths inside it; [] without any.

    Raises `CaptioningError` when the folder is missing or can't be read.
    """
    check_photos_folder(folder)
    return _names(folder, True, _refuse)


def files_in(folder: Path) -> list[str]:
    """All files below a folder, as paths inside it, sorted; nothing hidden."""
    found: list[str] = []
    for here, below, names in os.walk(folder, onerror=_refuse, followlinks=True):
        below[:] = [name for name in below if not (name.startswith(".") or name in _NOT_PHOTOS)]
        inside = Path(here).relative_to(folder).as_posix()
        start = "" if inside == "." else f"{inside}/"
        found += [start + name for name in names if not name.startswith(".")]
    return sorted(found)


def photos_of(paths: Sequence[Path], recursive: bool = False) -> Found:
    """The photos that the given files and folders stand for, a folder's sorted by name.

    A photo that was given twice, by name and in its folder, is there once. Raises
    `CaptioningError` when there is no photo at all. Files that don't exist are kept: they are
    reported one by one, as any unreadable photo is. Patterns (*.jpg) are expanded, as Windows'
    shells leave that to programs.
    """
    found = Found()
    photos: dict[Path, None] = {}  # as a set that keeps its order

    def note(error: OSError) -> None:
        found.unreadable[Path(error.filename)] = error.strerror or str(error)

    for path in _expanded(paths):
        if not path.is_dir():
            photos[path] = None
            continue
        before = len(found.unreadable)
        names = _names(path, recursive, note)
        photos.update(dict.fromkeys(path / name for name in names))
        if not names and len(found.unreadable) == before:
            found.empty.append(path)
    found.photos = list(photos)
    if not photos:
        unreadable = [f"cannot read {path}: {why}" for path, why in found.unreadable.items()]
        raise CaptioningError("; ".join([*unreadable, *map(describe_empty, found.empty)]))
    return found


def _expanded(paths: Sequence[Path]) -> Iterator[Path]:
    """The paths, patterns among them replaced by what they match; without a match they stay."""
    for path in map(Path, paths):
        # "photo [1].jpg" is a file's name as well.
        matches = [] if os.path.lexists(path) else sorted(glob(str(path), recursive=True))  # noqa: PTH207
        yield from map(Path, matches) if matches else [path]


def has_subfolders(folder: Path) -> bool:
    """Whether there are folders in it that may hold photos as well; False if it can't be read."""
    try:
        inside = [path.name for path in folder.iterdir() if path.is_dir()]
    except OSError:
        return False
    return any(not name.startswith(".") and name not in _NOT_PHOTOS for name in inside)


def describe_missing(photo: Path) -> str:
    """That there is no such file; of an address, that photos are read from this machine alone."""
    address = re.match(r"(https?|ftp|s3|gs):/+(.+)", photo.as_posix())
    if address:
        return (
            f"{address[1]}://{address[2]} is an address; photos are read from this machine alone: "
            "download it first"
        )
    return f"there is no file {photo}"


def describe_empty(folder: Path) -> str:
    """That a folder holds no image file, and whether its subfolders do."""
    below = len(_names(folder, True, lambda error: None))
    more = f"; its subfolders hold {below:,}, which --recursive finds" if below else ""
    return f"the folder {folder} holds no image file{more}"


def _names(folder: Path, recursive: bool, onerror: Callable[[OSError], None]) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in _image_files(folder, recursive, onerror)
    )


def _image_files(
    folder: Path, recursive: bool, onerror: Callable[[OSError], None]
) -> Iterator[Path]:
    """The image files in a folder, in any order. onerror: called for a folder that can't be read.

    Links to folders are followed where they lead out of `folder`, each once: what is inside is
    found anyway, and a link to a folder above would have no end.
    """
    root = Path(os.path.realpath(folder))
    seen = {root}
    for here, folders, files in os.walk(folder, onerror=onerror, followlinks=True):
        yield from (Path(here, name) for name in files if _is_photo(name))
        kept = []
        for name in sorted(folders) if recursive else ():
            path = Path(here, name)
            real = Path(os.path.realpath(path))
            around = path.is_symlink() and (real in root.parents or root in real.parents)
            if not (name.startswith(".") or name in _NOT_PHOTOS or real in seen or around):
                seen.add(real)
                kept.append(name)
        folders[:] = kept  # `os.walk` goes into what is left here


def _is_photo(name: str) -> bool:
    return Path(name).suffix.lower() in IMAGE_ENDINGS and not name.startswith(".")


def _refuse(error: OSError) -> None:
    raise CaptioningError(f"cannot read the folder {error.filename}: {error.strerror}") from None
