"""A text file beside each photo, or in a folder."""

import errno
from pathlib import Path

from captioning.errors import CaptioningError
from captioning.files.text import write_text
from captioning.inference.captioner import Caption
from captioning.output.targets import NoCopyError, stat_or_none


class Sidecars:
    """A text file a photo with its caption: photo.jpg.txt.

    targets: {photo: its sidecar}; those that are there count as done with `resume`.
    """

    def __init__(self, targets: dict[Path, Path], resume: bool = False) -> None:
        self._targets, self._resume = targets, resume

    def has(self, photo: Path) -> bool:
        """Whether the photo has its sidecar, and is to keep it."""
        return self._resume and stat_or_none(self._targets[photo]) is not None

    def write(self, caption: Caption) -> None:
        """Write the sidecar, whole or not at all. Raises `NoCopyError` where no name is left."""
        try:
            write_text(self._targets[caption.image], caption.caption + "\n")
        except CaptioningError as error:
            if getattr(error.__cause__, "errno", None) == errno.ENAMETOOLONG:
                raise NoCopyError("its name is too long to get .txt behind it") from None
            raise

    def finish(self) -> None:
        """All is written."""
