"""Any image file -> an upright RGB array: one opener for extraction and captioning."""

import base64
import io
import stat
import struct
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from captioning.errors import CaptioningError
from captioning.vision.packed import PackedPhoto, Photo

MAX_PIXELS = 200_000_000
"""Photos with more pixels are refused before they are decoded (decompression bombs)."""

_WANTED = (
    "AVIF BMP DDS DIB GIF HEIF ICNS ICO JPEG JPEG2000 MPO PCX PNG PPM QOI SGI TGA TIFF WEBP XBM"
)

_OTHER_FILES = {
    b"version https://git-lfs": "a pointer of Git LFS, not the image; fetch it with: git lfs pull",
    b"<!doctype html": "a web page, not an image",
    b"<html": "a web page, not an image",
    b"<?xml": "a drawing or text (XML), not an image of pixels",
    b"<svg": "a drawing (SVG), not an image of pixels",
    b"%pdf": "a PDF, not an image",
}
"""What people take for images, by how the files begin, in lower case."""

_RAW_ENDINGS = (".nef", ".cr2", ".cr3", ".arw", ".dng", ".raf", ".orf", ".rw2", ".pef", ".srw")

_HEIF_ENDINGS = (".heic", ".heif", ".hif", ".heics", ".heifs")

COMMON = ("JPEG", "PNG", "GIF", "BMP", "PPM")
"""Of most photos; they are tried first, as to load the other formats' code takes a while."""

# Not in a `with`: photos are decoded in threads, and the list of filters belongs to the process.
warnings.filterwarnings("ignore", module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


@cache
def formats() -> tuple[str, ...]:
    """What is read. EPS and WMF are not: Pillow hands them to other programs, which run them."""
    try:
        import pillow_heif
    except ImportError:
        pass  # optional: HEIC photos, as of iPhones, are refused then with the way to install it
    else:
        pillow_heif.register_heif_opener()
    Image.init()  # fills Image.OPEN with the formats that this build of Pillow can open
    return tuple(name for name in _WANTED.split() if name in Image.OPEN)


class UnreadableImageError(CaptioningError):
    """An image file that can't be used; the message is the reason, without the file's name."""


def open_image(path: Photo, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """An upright RGB picture of any file of `formats()`, the first frame of several.

    EXIF rotation is applied, transparency laid on white, 16 bits scaled to 8, colour profiles
    converted to sRGB. Raises `UnreadableImageError` with the reason. Pillow's own limit, one for
    the whole process, is set to `max_pixels` too, and stays so.
    """
    # Pillow's own limit applies to the pictures inside of icons too, which `image.size` does not
    # show. Above the limit Pillow only warns; it refuses above twice the limit.
    Image.MAX_IMAGE_PIXELS = (max_pixels + 1) // 2
    try:
        with _identified(_opened(path)) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise UnreadableImageError(
                    f"{width}x{height} pixels are more than the limit of {max_pixels:,}"
                )
            image.load()  # decodes: before it only the header has been read
            return _to_rgb(_upright(_uninverted(image)))
    except UnreadableImageError:
        raise
    except UnidentifiedImageError:
        raise UnreadableImageError(_reason_unidentified(path)) from None
    except FileNotFoundError:
        raise UnreadableImageError("no such file") from None
    except OSError as error:
        raise UnreadableImageError(error.strerror or f"damaged or truncated ({error})") from None
    except Image.DecompressionBombError:
        raise UnreadableImageError(f"more pixels than the limit of {max_pixels:,}") from None
    except MemoryError:
        raise UnreadableImageError("more pixels than fit into memory") from None
    except Exception as error:  # Pillow's decoders raise all sorts on hostile or damaged files
        raise UnreadableImageError(f"damaged image ({error})") from None


def _opened(photo: Photo) -> Path | io.BytesIO:
    """What Pillow opens. Raises `UnreadableImageError` for what isn't a regular file, OSError."""
    if isinstance(photo, PackedPhoto):
        return io.BytesIO(photo.read_bytes())
    if not stat.S_ISREG(Path(photo).stat().st_mode):  # to open a pipe would wait for its writer
        raise UnreadableImageError(
            "a folder, not an image" if Path(photo).is_dir() else "not a regular file"
        )
    return Path(photo)


def _identified(file: Path | io.BytesIO) -> Image.Image:
    """The picture with its header read. Raises what Pillow raises."""
    try:
        return Image.open(file, formats=COMMON)
    except UnidentifiedImageError:
        return Image.open(file, formats=formats())


def _reason_unidentified(photo: Photo) -> str:
    """Why no decoder of Pillow knows the file."""
    if isinstance(photo, PackedPhoto):
        return "not an image of a supported format" if photo.read_bytes() else "an empty file"
    path = Path(photo)
    if path.stat().st_size == 0:
        return "an empty file"
    if path.suffix.lower() in _HEIF_ENDINGS and "HEIF" not in formats():
        return "HEIC needs one more package: pip install pillow-heif"
    with path.open("rb") as file:
        beginning = file.read(200).lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    for signature, what in _OTHER_FILES.items():
        if beginning.startswith(signature):
            return what
    if path.suffix.lower() in _RAW_ENDINGS:
        return "a camera's raw file, not an image of a supported format; export it as JPEG"
    return "not an image of a supported format"


def _uninverted(image: Image.Image) -> Image.Image:
    """The picture, with the inks of a CMYK JPEG without Adobe's segment inverted back.

    Adobe's programs write CMYK inverted and mark it with a segment of their own. Pillow inverts
    every CMYK JPEG when it decodes it, marked or not.
    """
    if image.format in ("JPEG", "MPO") and image.mode == "CMYK" and "adobe" not in image.info:
        inverted = Image.merge("CMYK", [band.point(lambda v: 255 - v) for band in image.split()])
        inverted.info = image.info
        return inverted
    return image


def _upright(image: Image.Image) -> Image.Image:
    """The picture rotated and mirrored as its EXIF orientation says."""
    try:
        return ImageOps.exif_transpose(image)
    except (OSError, ValueError, TypeError, KeyError, SyntaxError, struct.error, OverflowError):
        return image  # broken EXIF: the picture as stored is the best there is


def _to_rgb(image: Image.Image) -> Image.Image:
    """The picture as RGB of 8 bits in sRGB; the order of the steps matters."""
    if image.mode.startswith(("I", "F")):
        image = _to_eight_bits(image)
    # A palette's colours are in the profile's space, but LittleCMS converts no palettes.
    if image.mode in ("P", "PA") and "icc_profile" in image.info:
        image = _converted(image, "RGBA" if image.has_transparency_data else "RGB")
    image = _to_srgb(image)
    # After the conversion to sRGB: the white below is sRGB's.
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _converted(image: Image.Image, mode: str) -> Image.Image:
    """The picture in that mode, with its colour profile, which Pillow's conversion drops."""
    converted = image.convert(mode)
    converted.info["icc_profile"] = image.info["icc_profile"]
    return converted


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """A picture of integers or floats as 8-bit gray; the scale is guessed from the largest value.

    Pillow's own conversion clips at 255, which turns nearly every 16-bit picture white.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0.0, neginf=0.0)
    largest = values.max(initial=0.0)
    if image.mode == "F" and largest <= 1.0:  # floats are usually from 0 to 1
        scale = 255.0
    else:
        scale = 1.0 if largest <= 255 else 255.0 / 65535.0
    return Image.fromarray(np.clip(values * scale, 0, 255).astype(np.uint8))


def _to_srgb(image: Image.Image) -> Image.Image:
    """The picture's colours converted from its profile to sRGB; as it is without a usable one."""
    if image.mode == "LAB":  # Pillow's `convert` does not know it
        return _converted_profile(image, ImageCms.createProfile("LAB"))
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK", "L", "LA"):
        return image
    alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") else None
    if image.mode == "RGB" and "transparency" in image.info:
        return image  # one colour stands for transparent: converted it would not be found again
    try:
        converted = _converted_profile(
            image.convert(image.mode.rstrip("A")) if alpha else image,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image  # a broken profile: the colours as stored are the best there is
    if alpha:
        converted.putalpha(alpha)
    return converted


def _converted_profile(image: Image.Image, profile: Any) -> Image.Image:
    """A new picture, RGB, with the colours converted from the profile to sRGB."""
    converted = ImageCms.profileToProfile(
        image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert converted is not None  # None is given only for a conversion in place
    return converted


def load_array(path: Photo, size: int, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """The photo as the encoders read it: uint8, shape (size, size, 3), RGB, values 0 to 255.

    The aspect ratio is not kept, as in the seed project; the filter is bicubic, fixed here
    because Pillow's default has changed before. Raises `UnreadableImageError`.
    """
    return to_array(open_image(path, max_pixels), size)


def load_arrays(
    path: Photo, sizes: Sequence[int], max_pixels: int = MAX_PIXELS
) -> list[np.ndarray]:
    """The photo as encoders of several sizes read it, as `load_array`; it is opened once."""
    image = open_image(path, max_pixels)
    return [to_array(image, size) for size in sizes]


def to_array(image: Image.Image, size: int) -> np.ndarray:
    """Resize an RGB picture to uint8 of shape (size, size, 3); the one place that resizes."""
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC), dtype=np.uint8)


def as_data(image: Image.Image) -> str:
    """An RGB picture as a `data:` URL (JPEG), for pages that must be one file."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
