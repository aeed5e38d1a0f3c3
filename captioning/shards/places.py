"""Files wherever they are: on this machine without another package, elsewhere by `fsspec`.

A place is a path, or a URL such as `s3://bucket/photos`, `gs://…`, `hdfs://…`, `file:///…`.
https://filesystem-spec.readthedocs.io
"""

import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from captioning.data.photos import files_in
from captioning.errors import CaptioningError

RAISED = (OSError, ValueError, RuntimeError)
"""What reading and writing raise: the system, and the packages behind `fsspec`."""

_PART = re.compile(r"\.(.+)\.[0-9a-f]{12}\.part")
"""Names of half-written files."""


class LocalFiles:
    """This machine's files, with the few calls of `fsspec`'s file systems that are used here."""

    def exists(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        return Path(path).exists()

    def isdir(self, path: str) -> bool:
        """Whether it's a folder."""
        return Path(path).is_dir()

    def size(self, path: str) -> int:
        """Bytes of a file. Raises OSError."""
        return Path(path).stat().st_size

    def find(self, path: str) -> list[str]:
        """All files below a folder, but hidden ones."""
        return [f"{path}/{name}" for name in files_in(Path(path))]

    def ls(self, path: str, detail: bool = False) -> list[str]:
        """The files and folders in a folder."""
        return [str(found) for found in Path(path).iterdir()]

    def glob(self, pattern: str) -> list[str]:
        """The files that an absolute pattern means."""
        root = Path(pattern).anchor
        return [str(found) for found in Path(root).glob(pattern.removeprefix(root))]

    def open(self, path: str, mode: str) -> BinaryIO:
        """The file, opened."""
        return Path(path).open(mode)  # type: ignore[return-value]

    def makedirs(self, path: str, exist_ok: bool) -> None:
        """Make a folder and those above it."""
        Path(path).mkdir(parents=True, exist_ok=exist_ok)

    def mv(self, before: str, after: str) -> None:
        """Rename; what has the name is replaced."""
        Path(before).replace(after)

    def rm(self, path: str) -> None:
        """Remove a file."""
        Path(path).unlink()


def is_local(place: str) -> bool:
    """Whether it's on this machine: a path, or a file:// URL."""
    return "://" not in place or place.startswith("file://")


def files_at(place: str) -> tuple[Any, str]:
    """The file system of a place, and the path in it.

    Raises `CaptioningError` for a kind of place that no installed package knows.
    """
    if is_local(place):
        return LocalFiles(), str(Path(place.removeprefix("file://")).absolute())
    import fsspec

    try:
        return fsspec.core.url_to_fs(place)
    except (ImportError, *RAISED) as error:
        raise CaptioningError(f"cannot reach {place}: {first_line(error)}") from None


def first_line(error: BaseException) -> str:
    """What an exception says, in one line."""
    said = error.strerror if isinstance(error, OSError) else None
    return said or str(error).strip().split("\n")[0][:200] or type(error).__name__


def read_bytes(place: str) -> bytes:
    """The content of a file. Raises OSError and what the file system raises."""
    files, path = files_at(place)
    with files.open(path, "rb") as file:
        return file.read()


class OutputFolder:
    """The folder of the results; made when something is written.

    place: its path or URL. Each method raises `CaptioningError` where the disk refuses.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._files, self.path = files_at(place)

    def names(self) -> set[str]:
        """The names of the files in it; none where there is no such folder."""
        try:
            if not self._files.exists(self.path):
                return set()
            if not self._files.isdir(self.path):
                raise CaptioningError(f"{self.place} is a file, where a folder is needed")
            return {p.rstrip("/").rpartition("/")[2] for p in self._files.ls(self.path, False)}
        except RAISED as error:
            raise CaptioningError(f"cannot read {self.place}: {first_line(error)}") from None

    def read(self, name: str) -> bytes:
        """The content of a file of it. Raises OSError where it can't be read."""
        with self._files.open(f"{self.path}/{name}", "rb") as file:
            return file.read()

    def write(self, name: str, content: bytes) -> None:
        """Write a file completely or not at all."""
        with self.beside(name) as file:
            file.write(content)

    def take(self, local: Path, name: str) -> None:
        """Move a file of this machine into the folder."""
        if is_local(self.place):
            with self._refused(name):
                flush(local)
                local.replace(f"{self.path}/{name}")
            return
        with local.open("rb") as content, self.beside(name) as file:
            shutil.copyfileobj(content, file, 1 << 20)
        local.unlink()

    @contextmanager
    def beside(self, name: str) -> Iterator[BinaryIO]:
        """A file to write to, under another name; it has its own once it is complete."""
        # Not by the process' number: on two machines two processes may have the same.
        path = f"{self.path}/.{name}.{uuid.uuid4().hex[:12]}.part"  # as `_PART`
        with self._refused(name):
            self._files.makedirs(self.path, exist_ok=True)
            try:
                with self._files.open(path, "wb") as file:
                    yield file
                    if is_local(self.place):
                        file.flush()
                        os.fsync(file.fileno())  # else a power cut could leave an empty file
                self._files.mv(path, f"{self.path}/{name}")
            except BaseException:
                if self._files.exists(path):
                    self._files.rm(path)
                raise

    def remove_parts(self, names: set[str]) -> None:
        """Remove what killed processes left half-written of the files of these names."""
        for own in self.names():
            part = _PART.fullmatch(own)
            if part and part[1] in names:
                self.remove(own)

    def remove(self, name: str) -> None:
        """Remove a file of it."""
        with self._refused(name):
            self._files.rm(f"{self.path}/{name}")

    @contextmanager
    def _refused(self, name: str) -> Iterator[None]:
        try:
            yield
        except RAISED as error:
            raise WriteError(
                f"cannot write {self.place}/{name}: {first_line(error)}; what is complete stays"
            ) from None


class WriteError(CaptioningError):
    """The disk refuses: full, read-only. No other shard could be written either."""


def flush(path: Path) -> None:
    """Wait until a file's content is on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
