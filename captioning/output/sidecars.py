"""A text file with the caption beside each photo, or in a folder: photo.jpg.txt."""

import errno
from pathlib import Path

from captioning.errors import CaptioningError
from captioning.files.text import write_text
from captioning.inference.captioner import Caption
from captioning.output.targets import UnwritableError


def write_sidecar(caption: Caption, target: Path) -> None:
    """Write the caption, complete or not at all.

    Raises `UnwritableError` if the photo's name is too long for an ending behind it.
    """
    try:
        write_text(target, caption.caption + "\n")
    except CaptioningError as error:
        if getattr(error.__cause__, "errno", None) == errno.ENAMETOOLONG:
            raise UnwritableError("its name is too long to append .txt") from None
        raise
