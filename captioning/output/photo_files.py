"""One file per photo: a sidecar with its caption, or a copy that carries it."""

from collections.abc import Callable
from pathlib import Path

from captioning.inference.captioner import Caption
from captioning.output.targets import stat_or_none


class PhotoFiles:
    """An `Output`: one file per photo.

    targets: {photo: its file}; write: writes a caption into such a file (`write_sidecar`,
    `write_copy`); resume: photos whose file exists count as done.
    """

    def __init__(
        self,
        targets: dict[Path, Path],
        write: Callable[[Caption, Path], None],
        resume: bool = False,
    ) -> None:
        self._targets, self._write, self._resume = targets, write, resume

    def has(self, photo: Path) -> bool:
        """Whether the photo's file exists, and is to be kept."""
        return self._resume and stat_or_none(self._targets[photo]) is not None

    def write(self, caption: Caption) -> None:
        """Write the photo's file, complete or not at all; raises what `write` raises."""
        self._write(caption, self._targets[caption.image])

    def finish(self) -> None:
        """Nothing to do: each file is complete."""
