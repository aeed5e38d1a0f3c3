"""Any image file -> an upright RGB array: one opener for extraction and captioning."""

import base64
import io
import stat
import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from captioning.errors import CaptioningError

try:
    import pillow_heif
except ImportError:
    pass  # an extra: without it the photos of iPhones are reported, with the way to install it
else:
    pillow_heif.register_heif_opener()


MAX_PIXELS = 200_000_000
"""Photos with more pixels are refused before they are decoded (decompression bombs)."""


_WANTED = (
    "AVIF",
    "BMP",
    "DDS",
    "DIB",
    "GIF",
    "HEIF",
    "ICNS",
    "ICO",
    "JPEG",
    "JPEG2000",
    "MPO",
    "PCX",
    "PNG",
    "PPM",
    "QOI",
    "SGI",
    "TGA",
    "TIFF",
    "WEBP",
    "XBM",
)


Image.init()


FORMATS = tuple(name for name in _WANTED if name in Image.OPEN)
"""What is read. EPS and WMF are not: Pillow hands them to other programs, which run them."""


# Not in a `with`: photos are decoded in threads, and Python's list of filters is one for all.
warnings.filterwarnings("ignore", module=r"PIL\.")


warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class UnreadableImageError(CaptioningError):
    """An image file that can't be used; the message is the reason, without the file's name."""


def open_image(path: Path, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """An upright RGB picture of any file of `FORMATS`, the first frame of several.

    EXIF rotation is applied, transparency laid on white, 16-bit scaled, colour profiles
    brought to sRGB. Raises `UnreadableImageError` with the reason. Pillow's own limit, which is
    one for the whole process, is set to `max_pixels` too, and stays so.
    """
    # Pillow refuses above twice this number, in the pictures inside of icons too.
    Image.MAX_IMAGE_PIXELS = (max_pixels + 1) // 2
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):  # a pipe would be waited for for ever
            raise UnreadableImageError(
                "a folder, not an image" if Path(path).is_dir() else "not a regular file"
            )
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise UnreadableImageError(
                    f"{width}x{height} pixels are more than the limit of {max_pixels:,}"
                )
            image.load()
            return _to_rgb(_upright(_not_inverted(image)))
    except UnreadableImageError:
        raise
    except UnidentifiedImageError:
        raise UnreadableImageError(_why_unknown(Path(path))) from None
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


def _why_unknown(path: Path) -> str:
    if path.stat().st_size == 0:
        return "an empty file"
    if path.suffix.lower() in (".heic", ".heif") and "HEIF" not in FORMATS:
        return "HEIC needs one more package: pip install pillow-heif"
    return "not an image that is read here"


def _not_inverted(image: Image.Image) -> Image.Image:
    """Turn back a CMYK JPEG without Adobe's mark: Pillow takes all for Adobe's inverted kind."""
    if image.format in ("JPEG", "MPO") and image.mode == "CMYK" and "adobe" not in image.info:
        turned = Image.merge("CMYK", [band.point(lambda v: 255 - v) for band in image.split()])
        turned.info = image.info
        return turned
    return image


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except (OSError, ValueError, TypeError, KeyError, SyntaxError, struct.error, OverflowError):
        return image  # broken EXIF: the picture as it stands is the best there is


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        image = _to_eight_bits(image)
    if image.mode in ("P", "PA") and "icc_profile" in image.info:
        image = _converted(image, "RGBA" if image.has_transparency_data else "RGB")
    image = _to_srgb(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _converted(image: Image.Image, mode: str) -> Image.Image:
    """The picture in that mode, with its colour profile."""
    made = image.convert(mode)
    made.info["icc_profile"] = image.info["icc_profile"]
    return made


def _to_eight_bits(image: Image.Image) -> Image.Image:
    # Pillow's own conversion clips at 255, which turns nearly every 16-bit picture white.
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0.0, neginf=0.0)
    if image.mode == "F" and values.max(initial=0.0) <= 1.0:
        scale = 255.0
    else:
        scale = 1.0 if values.max(initial=0.0) <= 255 else 255.0 / 65535.0
    return Image.fromarray(np.clip(values * scale, 0, 255).astype(np.uint8))


def _to_srgb(image: Image.Image) -> Image.Image:
    if image.mode == "LAB":  # which Pillow itself brings nowhere
        return ImageCms.profileToProfile(
            image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK", "L", "LA"):
        return image
    alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") else None
    try:
        made = ImageCms.profileToProfile(
            image.convert(image.mode.rstrip("A")) if alpha else image,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            outputMode="RGB",
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image  # a broken profile: the colours as they stand are the best there is
    if alpha:
        made.putalpha(alpha)
    elif "transparency" in image.info and image.mode == "RGB":
        return image  # the transparent colour is named in the file's own colours
    return made


def load_array(path: Path, size: int, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """The photo as the encoders read it: uint8, shape (size, size, 3), RGB, values 0 to 255.

    The aspect ratio is squashed as in the seed project; the filter is bicubic, fixed here
    because Pillow's default has changed before. Raises `UnreadableImageError`.
    """
    return to_array(open_image(path, max_pixels), size)


def to_array(image: Image.Image, size: int) -> np.ndarray:
    """Resize an RGB picture to uint8 of shape (size, size, 3); the one place that resizes."""
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC), dtype=np.uint8)


def as_data(image: Image.Image) -> str:
    """An RGB picture as a `data:` address (JPEG), to stand inside a page."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
