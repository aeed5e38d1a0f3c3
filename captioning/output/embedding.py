"""Copies of photos that carry their captions in their metadata."""

from pathlib import Path

from captioning.errors import CaptioningError
from captioning.files.whole import written_whole
from captioning.inference.captioner import Caption
from captioning.output.targets import UnwritableError

CAMERAS = {
    *("sony dsc", "exif_jpeg_picture", "dcim", "default", "camera", "samsung", "untitled"),
    *("digital image", "ascii", "dcf1.0", "hdrpl", "jpeg picture", "picture", "none"),
}
"""What cameras write as every photo's description, beside "OLYMPUS DIGITAL CAMERA" and the like."""


def read_description(photo: Path) -> str | None:
    """The caption that a photo carries: of XMP, the old IPTC caption, or EXIF; None without one.

    What a camera writes into every photo is no caption.
    """
    import pyexiv2

    pyexiv2.set_log_level(4)
    try:
        with pyexiv2.ImageData(photo.read_bytes()) as file:
            xmp, exif, iptc = file.read_xmp(), file.read_exif(), file.read_iptc()
    except (OSError, RuntimeError, ValueError):
        return None  # `write_copy` gives the reason
    found = [_in_any_language(xmp.get(f"Xmp.{field}")) for field in _FIELDS]
    found += [iptc.get("Iptc.Application2.Caption"), exif.get("Exif.Image.ImageDescription")]
    return next((text.strip() for text in found if text and not _is_cameras(text)), None)


_FIELDS = ("dc.description", "iptc.AltTextAccessibility")


def _in_any_language(value: str | dict[str, str] | None) -> str | None:
    """The text of a field that may be there in several languages, that of x-default first."""
    if not isinstance(value, dict):
        return value
    return value.get('lang="x-default"') or next(iter(value.values()), None)


def _is_cameras(text: str) -> bool:
    text = text.strip().strip("\0").lower()
    return not text or text in CAMERAS or text.endswith("digital camera")


def write_copy(caption: Caption, copy: Path) -> None:
    """Write a copy of the photo that carries the caption; the photo itself stays untouched.

    Where the caption is empty, the copy's metadata are the photo's. Raises `UnwritableError` for a
    photo that is gone, or a kind of image without descriptions.
    """
    try:
        image = caption.image.read_bytes()
    except OSError as error:
        raise UnwritableError(f"it can no longer be read ({error.strerror})") from None
    described = describe_image(image, caption.caption) if caption.caption else image
    with written_whole(copy) as beside:
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
