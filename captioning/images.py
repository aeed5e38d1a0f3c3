"""Any image file -> an upright RGB array: one opener for extraction and captioning."""

import base64
import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from captioning.errors import CaptioningError

MAX_PIXELS = 200_000_000
"""Photos with more pixels are refused before they are decoded (decompression bombs)."""


class UnreadableImageError(CaptioningError):
    """An image file that can't be used; the message is the reason, without the file's name."""


def open_image(path: Path, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """An upright RGB picture of any file that Pillow reads, the first frame of several.

    EXIF rotation is applied, transparency laid on white, 16-bit scaled, colour profiles
    brought to sRGB. Raises `UnreadableImageError` with the reason.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's bomb warning: the limit below decides
            with Image.open(path) as image:
                width, height = image.size
                if width * height > max_pixels:
                    raise UnreadableImageError(
                        f"{width}x{height} pixels are more than the limit of {max_pixels:,}"
                    )
                image.load()
                return _to_rgb(ImageOps.exif_transpose(image))
    except UnreadableImageError:
        raise
    except UnidentifiedImageError:
        raise UnreadableImageError(_why_unknown(Path(path))) from None
    except FileNotFoundError:
        raise UnreadableImageError("no such file") from None
    except IsADirectoryError:
        raise UnreadableImageError("a folder, not an image") from None
    except OSError as error:
        raise UnreadableImageError(error.strerror or f"damaged or truncated ({error})") from None
    except (Image.DecompressionBombError, MemoryError):
        raise UnreadableImageError(f"more pixels than the limit of {max_pixels:,}") from None
    except Exception as error:  # Pillow's decoders raise all sorts on hostile or damaged files
        raise UnreadableImageError(f"damaged image ({error})") from None


def _why_unknown(path: Path) -> str:
    return "an empty file" if path.stat().st_size == 0 else "not an image that Pillow can read"


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        image = _to_eight_bits(image)
    image = _to_srgb(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    # Pillow's own conversion clips at 255, which turns nearly every 16-bit picture white.
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0)
    if image.mode == "F" and values.max(initial=0.0) <= 1.0:
        scale = 255.0
    else:
        scale = 1.0 if values.max(initial=0.0) <= 255 else 255.0 / 65535.0
    return Image.fromarray(np.clip(values * scale, 0, 255).astype(np.uint8))


def _to_srgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "CMYK", "L"):
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image  # a broken profile: the colours as they stand are the best there is


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


VIEWS = (
    ("whole", (0, 0), False),
    ("mirrored", (0, 0), True),
    ("upper left", (0, 0), False),
    ("lower right, mirrored", (1, 1), True),
)
"""Views of a photo that training can show instead of it: name, corner, whether mirrored.

From the third on, six sevenths of each side are seen, from that corner.
"""


def view(pixels: np.ndarray, number: int) -> np.ndarray:
    """The view of that number of a photo, both uint8 (size, size, 3); 0 is the photo itself."""
    _, (right, down), mirrored = VIEWS[number]
    size = len(pixels)
    if number > 1:
        seen = size * 6 // 7
        top, left = down * (size - seen), right * (size - seen)
        part = Image.fromarray(pixels[top : top + seen, left : left + seen])
        pixels = to_array(part, size)
    return pixels[:, ::-1] if mirrored else pixels
