"""Where captions go: standard output, a file that grows, sidecars, copies that carry them.

Each output says whether it `has` a photo's caption already, takes one (`write`), and ends
(`finish`).
"""

import csv
import errno
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from tqdm import tqdm

from captioning.captioner import Caption
from captioning.errors import CaptioningError
from captioning.files import locked, write_text, written_whole
from captioning.rows import Rows, Table, split_rows, unsure_of


class NoCopyError(CaptioningError):
    """A photo that can have no sidecar or described copy; the message is the reason."""


def only_writer(output: Path) -> AbstractContextManager[None]:
    """Keep an output file or folder to this process, by a lock file beside it.

    Entering raises `CaptioningError` at once when another process has it.
    """
    output = output.resolve()
    return locked(output.with_name(f".{output.name}.lock"), output, "name another with -o")


class Stream:
    """Rows on standard output as they come, or, to be marked by `unsure`, all at the end.

    unsure: None, or the share of captions to mark.
    """

    def __init__(self, rows: Rows, unsure: float | None = None) -> None:
        self._rows, self._unsure = rows, unsure
        self._held: list[tuple[str, float]] = []
        self._print(rows.header)

    def has(self, _: Path) -> bool:
        """Nothing is kept from an earlier run."""
        return False

    def write(self, caption: Caption) -> None:
        """Print a caption, or hold it back."""
        row = self._rows.row(caption)
        if self._unsure is None:
            self._print(row)
        else:
            self._held.append((row, caption.score))

    def finish(self) -> None:
        """Print what was held back, marked."""
        if self._unsure is not None:
            marks = unsure_of([score for _, score in self._held], self._unsure)
            for (row, _), unsure in zip(self._held, marks, strict=True):
                self._print(self._rows.marked(row, unsure))

    def _print(self, text: str) -> None:
        tqdm.write(text, file=sys.stdout, end="")  # a progress bar makes room for it
        sys.stdout.flush()


class RowsFile:
    """A file that every caption is added to at once, so that a killed run loses none.

    With `resume` it goes on after the last whole row of an earlier run; a cut-off one is
    dropped. With `unsure`, the share of captions to mark, the rows stay unmarked until
    `finish` writes the file anew. Hold the file's lock around all this.

    Raises `CaptioningError` for a file that is there, without `resume` and `overwrite`, or is
    not of these rows.
    """

    def __init__(
        self,
        path: Path,
        rows: Rows,
        resume: bool = False,
        overwrite: bool = False,
        unsure: float | None = None,
    ) -> None:
        self._path, self._rows, self._unsure = path.resolve(), rows, unsure
        self._done: set[str] = set()
        there = path.exists() and (not path.is_file() or path.stat().st_size > 0)
        if path.is_dir():
            raise CaptioningError(f"{path} is a folder; -o wants a file for this --format")
        if there and not (resume or overwrite):
            raise CaptioningError(
                f"{path} is there already; --resume goes on with it, --overwrite begins it anew"
            )
        if there and resume:
            self._go_on()
        else:
            write_text(self._path, rows.header)

    def has(self, photo: Path) -> bool:
        """Whether the photo has its row."""
        return self._rows.name(photo) in self._done

    def write(self, caption: Caption) -> None:
        """Add a row. Raises `CaptioningError` when the disk refuses."""
        try:
            # A file name that isn't UTF-8 is written with escapes, which JSON reads back.
            with self._path.open(
                "a", encoding="utf-8", errors="backslashreplace", newline="\n"
            ) as file:
                file.write(self._rows.row(caption))
        except OSError as error:
            raise CaptioningError(
                f"cannot write to {self._path}: {error.strerror}; the captions so far are there, "
                "--resume goes on after them"
            ) from None
        self._done.add(self._rows.name(caption.image))

    def finish(self) -> None:
        """Mark the unsure captions, if asked for: the file changes as a whole or not at all."""
        if self._unsure is None:
            return
        rows = self._read()
        marks = unsure_of([self._rows.read(row)[1] for row in rows], self._unsure)
        marked = (self._rows.marked(*pair) for pair in zip(rows, marks, strict=True))
        text = self._rows.header + "".join(marked)
        with written_whole(self._path) as beside:
            beside.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")

    def _go_on(self) -> None:
        rows = self._read()
        for number, row in enumerate(rows, 1):
            try:
                self._done.add(self._rows.read(row)[0])
            except (ValueError, KeyError, TypeError, StopIteration, csv.Error) as error:
                raise CaptioningError(
                    f"{self._path}, row {number}, is no row of this --format ({error}); name "
                    "another file with -o, or --overwrite it"
                ) from None
        whole = (self._rows.header + "".join(rows)).encode("utf-8")
        with self._path.open("r+b") as file:
            file.write(whole)  # the bytes that stand there, so a crash harms nothing
            file.truncate()

    def _read(self) -> list[str]:
        """The whole rows after the header."""
        raw, header = self._path.read_bytes(), self._rows.header
        try:
            text = raw[: raw.rfind(b"\n") + 1].decode("utf-8")
        except UnicodeDecodeError:
            text = None
        if text is not None and header.startswith(text):
            return []  # cut off within its header
        if text is None or not text.startswith(header):
            raise CaptioningError(
                f"{self._path} doesn't begin as this --format does; it was made by other options "
                "or another program: name another file with -o, or --overwrite it"
            )
        return list(split_rows(text[len(header) :], quotes=isinstance(self._rows, Table)))


class Sidecars:
    """A text file a photo with its caption: photo.jpg.txt.

    targets: {photo: its sidecar}; those that are there count as done with `resume`.
    """

    def __init__(self, targets: dict[Path, Path], resume: bool = False) -> None:
        self._targets, self._resume = targets, resume

    def has(self, photo: Path) -> bool:
        """Whether the photo has its sidecar, and is to keep it."""
        return self._resume and _stat(self._targets[photo]) is not None

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


class Copies:
    """Copies of the photos that carry their captions as descriptions; photos stay untouched.

    targets: {photo: its copy}; those that are there count as done with `resume`.
    """

    def __init__(self, targets: dict[Path, Path], resume: bool = False) -> None:
        self._targets, self._resume = targets, resume

    def has(self, photo: Path) -> bool:
        """Whether the photo has its copy, and is to keep it."""
        return self._resume and _stat(self._targets[photo]) is not None

    def write(self, caption: Caption) -> None:
        """Write the copy. Raises `NoCopyError` for a kind of image that carries no description."""
        try:
            image = caption.image.read_bytes()
        except OSError as error:
            raise NoCopyError(f"it can't be read any more ({error.strerror})") from None
        described = describe_image(image, caption.caption)
        with written_whole(self._targets[caption.image]) as beside:
            beside.write_bytes(described)

    def finish(self) -> None:
        """All is written."""


def describe_image(image: bytes, description: str) -> bytes:
    """The image file with a description in its metadata, its pixels' bytes as they were.

    Written are XMP's dc:description and the IPTC's alt text (AltTextAccessibility of
    https://www.iptc.org/std/photometadata/specification/), EXIF's ImageDescription, and the old
    IPTC caption where the format has one. Raises `NoCopyError` when the format holds none or
    its metadata are damaged.
    """
    import pyexiv2

    pyexiv2.set_log_level(4)  # what matters is raised
    in_english = {'lang="x-default"': description}
    try:
        with pyexiv2.ImageData(image) as file:
            file.modify_xmp({
                "Xmp.dc.description": in_english, "Xmp.iptc.AltTextAccessibility": in_english,
            })
            file.modify_exif({"Exif.Image.ImageDescription": description})
            iptc = {"Iptc.Application2.Caption": description}
            if not file.read_iptc(encoding="latin-1"):
                iptc["Iptc.Envelope.CharacterSet"] = "\x1b%G"  # UTF-8
            file.modify_iptc(iptc)
            return file.get_bytes()
    except (RuntimeError, ValueError, OverflowError) as error:
        raise NoCopyError(f"it can't carry a description ({error})") from None


def check_describing() -> None:
    """Raise `CaptioningError` when the library that writes descriptions isn't installed."""
    try:
        import pyexiv2  # noqa: F401
    except (ImportError, OSError) as error:
        raise CaptioningError(
            f"--embed wants a library that isn't there ({error}); pip install pyexiv2"
        ) from None


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
    originals = {(stat.st_dev, stat.st_ino): photo for photo in photos if (stat := _stat(photo))}
    targets: dict[Path, Path] = {}
    makers: dict[Path, Path] = {}
    for photo in photos:
        roots = [root for root in given if root != photo and photo.is_relative_to(root)]
        place = photo.relative_to(roots[0]) if roots else Path(photo.name)
        target = (photo if folder is None else folder / place)
        target = target.with_name(target.name + ending)
        if target in makers:
            raise CaptioningError(
                f"{makers[target]} and {photo} would both become {target}; caption them in two "
                "runs, or give the folder that holds both, with --recursive"
            )
        there = _stat(target)
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
    there = [target for target in targets.values() if _stat(target)]
    if there:
        more = f" and {len(there) - 1:,} more are" if len(there) > 1 else " is"
        raise CaptioningError(
            f"{there[0]}{more} there already; --resume keeps them and makes the rest, "
            "--overwrite makes them anew"
        )


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
