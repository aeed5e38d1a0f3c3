"""Image files: those of a folder by name, those that command-line arguments stand for."""

from collections.abc import Sequence
from pathlib import Path

from captioning.errors import CaptioningError, command_line

IMAGE_ENDINGS = {
    *(".jpg", ".jpeg", ".jfif", ".mpo", ".jp2", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
    *(".avif", ".heic", ".heif", ".ppm", ".pgm", ".pbm", ".tga", ".qoi"),
}
"""File name endings, in lower case, of what is taken for a photo in a folder."""


def list_photos(folder: Path, recursive: bool = False) -> list[str]:
    """The names of the image files in a folder, sorted; with `recursive` as paths inside it.

    Raises `CaptioningError` when the folder is missing or holds no image file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CaptioningError(
            f"the folder of photos {folder} is missing; name another with --images, "
            f"or fetch Flickr8k with: {command_line('features')} --download"
        )
    found = folder.rglob("*") if recursive else folder.iterdir()
    names = sorted(
        p.relative_to(folder).as_posix()
        for p in found
        if p.suffix.lower() in IMAGE_ENDINGS and not p.name.startswith(".")
    )
    if not names:
        raise CaptioningError(f"the folder {folder} holds no image file")
    return names


def photos_of(paths: Sequence[Path], recursive: bool = False) -> list[Path]:
    """The photos that the given files and folders stand for, a folder's sorted by name.

    Raises `CaptioningError` for a folder without photos. Files that don't exist are kept: they are
    reported one by one, as any unreadable photo is.
    """
    photos: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            photos += [path / name for name in list_photos(path, recursive)]
        else:
            photos.append(path)
    return photos
