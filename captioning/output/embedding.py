"""Copies of photos that carry their captions in their metadata."""

from pathlib import Path

from captioning.errors import CaptioningError
from captioning.files.whole import written_whole
from captioning.inference.captioner import Caption
from captioning.output.targets import UnwritableError


def write_copy(caption: Caption, target: Path) -> None:
    """Write a copy of the photo that carries the caption; the photo itself stays untouched.

    Raises `UnwritableError` for a photo that is gone, or a kind of image without descriptions.
    """
    try:
        image = caption.image.read_bytes()
    except OSError as error:
        raise UnwritableError(f"it can no longer be read ({error.strerror})") from None
    described = describe_image(image, caption.caption)
    with written_whole(target) as beside:
        beside.write_bytes(described)


def describe_image(image: bytes, description: str) -> bytes:
    """The image file with a description in its metadata; the bytes of its pixels don't change.

    Written are XMP's dc:description and the IPTC's alt text (AltTextAccessibility of
    https://www.iptc.org/std/photometadata/specification/), EXIF's ImageDescription, and the old
    IPTC caption if the format has one. Raises `UnwritableError` if the format has no metadata or
    they are damaged.
    """
    import pyexiv2

    pyexiv2.set_log_level(4)  # mute: its errors are raised, its warnings mean nothing to users
    in_any_language = {'lang="x-default"': description}
    try:
        with pyexiv2.ImageData(image) as file:
            file.modify_xmp(
                {
                    "Xmp.dc.description": in_any_language,
                    "Xmp.iptc.AltTextAccessibility": in_any_language,
                }
            )
            file.modify_exif({"Exif.Image.ImageDescription": description})
            iptc = {"Iptc.Application2.Caption": description}
            # IPTC has one encoding for the whole record. Where there is a record already, its
            # other texts are in it, so only a new record is declared as UTF-8 (ESC % G).
            if not file.read_iptc(encoding="latin-1"):
                iptc["Iptc.Envelope.CharacterSet"] = "\x1b%G"
            file.modify_iptc(iptc)
            return file.get_bytes()
    except (RuntimeError, ValueError, OverflowError) as error:
        raise UnwritableError(f"it can't carry a description ({error})") from None


def check_embedding() -> None:
    """Raise `CaptioningError` if the library that writes descriptions isn't installed."""
    try:
        import pyexiv2  # noqa: F401
    except (ImportError, OSError) as error:
        raise CaptioningError(
            f"--embed needs the package pyexiv2 ({error}); pip install pyexiv2"
        ) from None
