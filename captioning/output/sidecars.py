"""A text file with the caption beside each photo, or in a folder: photo.jpg.txt, or photo.txt."""

import errno
from pathlib import Path

from captioning.errors import CaptioningError
from captioning.files.text import read_text, write_text
from captioning.inference.captioner import Caption
from captioning.output.targets import UnwritableError, stat_or_none


def read_sidecar(sidecar: Path) -> str | None:
    """The text of a sidecar; None where there is none.

    Raises `UnwritableError` for a file that can't be read, or isn't UTF-8.
    """
    if stat_or_none(sidecar) is None:
        return None
    try:
        return read_text(sidecar, "the sidecar").strip()
    except CaptioningError as error:
        raise UnwritableError(f"its sidecar stays as it is: {error}") from None


def write_sidecar(caption: Caption, sidecar: Path) -> None:
    """Write the caption, complete or not at all; an empty one makes an empty file.

    Raises `UnwritableError` if the photo's name is too long for an ending behind it.
    """
    try:
        write_text(sidecar, f"{caption.caption}\n" if caption.caption else "")
    except CaptioningError as error:
        blame_photo(error, ".txt")
        raise


def blame_photo(error: CaptioningError, ending: str) -> None:
    """Raise `UnwritableError` if `error` came of this photo's name, too long with this ending.

    That is this photo's fault alone: the others still have sidecars. So is a folder that is
    read-only among others that are not.
    """
    if getattr(error.__cause__, "errno", None) == errno.ENAMETOOLONG:
        raise UnwritableError(f"its name is too long to append {ending}") from None
    if getattr(error.__cause__, "errno", None) in (errno.EACCES, errno.EPERM, errno.EROFS):
        raise UnwritableError(f"its folder can't be written to ({error.__cause__})") from None
