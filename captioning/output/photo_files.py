"""One file per photo: a sidecar with its caption, or a copy that carries it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from captioning.inference.captioner import Caption
from captioning.output.escaping import single_line
from captioning.output.existing import joined
from captioning.output.targets import UnwritableError, stat_or_none


class PhotoFiles:
    """An `Output`: one file per photo.

    targets: {photo: its file}; read: gives the caption that a photo has already, or None; write:
    writes a caption into such a file (`write_sidecar`, `write_xmp`, `write_copy`); existing: what
    becomes of a caption that is there, one of `existing.EXISTING`; resume: photos whose file
    exists count as done.
    """

    def __init__(
        self,
        targets: dict[Path, Path],
        read: Callable[[Path], str | None],
        write: Callable[[Caption, Path], None],
        existing: str = "replace",
        resume: bool = False,
    ) -> None:
        self.targets, self._read, self._write = targets, read, write
        self._existing, self._resume = existing, resume

    def has(self, photo: Path) -> bool:
        """Whether the photo's file is made already, or the photo's own caption is to be kept."""
        if self._resume and stat_or_none(self.targets[photo]) is not None:
            return True
        return self._existing == "skip" and self.captioned(photo) is True

    def captioned(self, photo: Path) -> bool | None:
        """Whether the photo has a caption already; None if that can't be told."""
        try:
            return self._read(photo) is not None
        except UnwritableError:
            return None  # `write` gives the reason

    def text_of(self, caption: Caption) -> str:
        """What `write` writes. Raises `UnwritableError` if the photo's own caption can't be read,
        which is to be kept."""
        if self._existing == "replace":
            return caption.caption
        return joined(self._read(caption.image), caption.caption, self._existing)

    def preview(self, caption: Caption) -> str:
        """The file, a tab, and the text that `write` would write into it."""
        target = single_line(str(self.targets[caption.image]))
        return f"{target}\t{single_line(self.text_of(caption))}\n"

    def write(self, caption: Caption) -> None:
        """Write the photo's file, complete or not at all; raises what `write` raises."""
        self._write(replace(caption, caption=self.text_of(caption)), self.targets[caption.image])

    def finish(self) -> None:
        """Nothing to do: each file is complete."""
