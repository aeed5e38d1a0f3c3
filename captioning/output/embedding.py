"""Copies of photos that carry their captions in their metadata."""

from pathlib import Path

from captioning.errors import CaptioningError
from captioning.files.whole import written_whole
from captioning.inference.captioner import Caption
from captioning.output.targets import NoCopyError, stat_or_none


class Copies:
    """Copies of the photos that carry their captions as descriptions; photos stay untouched.

    targets: {photo: its copy}; those that are there count as done with `resume`.
    """

    def __init__(self, targets: dict[Path, Path], resume: bool = False) -> None:
        self._targets, self._resume = targets, resume

    def has(self, photo: Path) -> bool:
        """Whether the photo has its copy, and is to keep it."""
        return self._resume and stat_or_none(self._targets[photo]) is not None

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
            file.modify_xmp(
                {
                    "Xmp.dc.description": in_english,
                    "Xmp.iptc.AltTextAccessibility": in_english,
                }
            )
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
