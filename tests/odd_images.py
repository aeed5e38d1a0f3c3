"""A collection of odd image files, made with Pillow and by hand; each with what must come of it."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageCms

from captioning.vision.images import formats

SAME, WHITE, OPENS = "same", "white", "opens"
"""What a file must give: the picture below, nothing but white, any picture. All else: a reason."""


def picture() -> Image.Image:
    """Left half red, right half blue, the top rows green: which way up it is can be seen."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :30, 0] = pixels[:, 30:, 2] = 200
    pixels[:10] = (0, 200, 0)
    return Image.fromarray(pixels)


UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def encoded(image: Image.Image, format_name: str, **options: object) -> bytes:
    """The bytes of a picture's file."""
    file = io.BytesIO()
    image.save(file, format_name, **options)
    return file.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    check = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)


def png(width: int, height: int, content: bytes, *extra: bytes, depth: int = 8) -> bytes:
    """A gray PNG by hand, whatever its content."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(content))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + data + chunk(b"IEND", b"")


def without_adobe(jpeg: bytes) -> bytes:
    """The JPEG without its APP14 segment."""
    place = jpeg.index(b"\xff\xee")
    length = struct.unpack(">H", jpeg[place + 2 : place + 4])[0]
    return jpeg[:place] + jpeg[place + 2 + length :]


Files = dict[str, tuple[bytes, str]]
"""{file name: (content, what it must give)}"""


def _srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _colour_modes() -> Files:
    """Gray, CMYK with and without Adobe's segment, LAB, YCbCr."""
    rgb = picture()
    cmyk = encoded(rgb.convert("CMYK"), "JPEG", quality=95)
    plain = Image.merge("CMYK", [b.point(lambda v: 255 - v) for b in rgb.convert("CMYK").split()])
    lab = ImageCms.profileToProfile(
        rgb, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    return {
        "gray.jpg": (encoded(rgb.convert("L"), "JPEG"), OPENS),
        "progressive.jpg": (encoded(rgb, "JPEG", progressive=True, quality=95), SAME),
        "cmyk-adobe.jpg": (cmyk, SAME),
        "cmyk-plain.jpg": (without_adobe(encoded(plain, "JPEG", quality=95)), SAME),
        "cmyk.tif": (encoded(rgb.convert("CMYK"), "TIFF"), SAME),
        "lab.tif": (encoded(lab, "TIFF"), SAME),
        "ycbcr.tif": (encoded(rgb.convert("YCbCr"), "TIFF", compression="tiff_lzw"), SAME),
        # Pillow wrote this kind and couldn't read it before version 13: three bytes a pixel, taken
        # for four.
        "ycbcr-plain.tif": (
            encoded(rgb.convert("YCbCr"), "TIFF"),
            SAME if int(PIL.__version__.split(".")[0]) >= 13 else "truncated",
        ),
    }


def _palettes_and_transparency() -> Files:
    """Palettes, and pictures that are wholly transparent, with and without a colour profile."""
    rgb, srgb = picture(), _srgb_profile()
    clear = rgb.convert("RGBA")
    clear.putalpha(0)
    return {
        "palette.png": (encoded(rgb.convert("P"), "PNG"), SAME),
        "palette-clear.png": (encoded(rgb.quantize(8), "PNG", transparency=b"\0" * 8), WHITE),
        "palette-profile.png": (encoded(rgb.convert("P"), "PNG", icc_profile=srgb), SAME),
        "clear.png": (encoded(clear, "PNG"), WHITE),
        "clear.webp": (encoded(clear, "WEBP", lossless=True), WHITE),
        "clear-profile.png": (encoded(clear, "PNG", icc_profile=srgb), WHITE),
        "alpha-profile.png": (encoded(rgb.convert("RGBA"), "PNG", icc_profile=srgb), SAME),
        "clear-colour.png": (
            encoded(Image.new("RGB", (9, 9), (9, 8, 7)), "PNG", transparency=(9, 8, 7)),
            WHITE,
        ),
        "gray-alpha.png": (encoded(Image.new("LA", (9, 9), (0, 0)), "PNG"), WHITE),
        "gray-alpha-profile.png": (
            encoded(Image.new("LA", (9, 9), (0, 0)), "PNG", icc_profile=srgb),
            WHITE,
        ),
    }


def _bit_depths() -> Files:
    """One bit, 16 and 32 bits, floats."""
    deep = Image.fromarray(np.full((4, 4), 65_535, np.uint16))
    return {
        "one-bit.png": (encoded(Image.new("1", (9, 9), 1), "PNG"), WHITE),
        "one-bit.tif": (encoded(Image.new("1", (9, 9), 1), "TIFF", compression="group4"), WHITE),
        "16-bit.png": (encoded(deep, "PNG"), WHITE),
        "16-bit.tif": (encoded(deep, "TIFF"), WHITE),
        "16-bit.jp2": (encoded(deep, "JPEG2000"), WHITE),
        "32-bit.tif": (encoded(Image.new("I", (9, 9), 65_535), "TIFF"), WHITE),
        "float.tif": (encoded(Image.new("F", (9, 9), 1.0), "TIFF"), WHITE),
        "not-a-number.tif": (encoded(Image.new("F", (9, 9), float("nan")), "TIFF"), OPENS),
    }


def _several_frames() -> Files:
    """Animations and pages: the first frame counts."""
    rgb = picture()
    frames = {"save_all": True, "append_images": [Image.new("RGB", rgb.size, "white")]}
    return {
        "animated.gif": (encoded(rgb, "GIF", **frames), SAME),
        "animated.png": (encoded(rgb, "PNG", **frames), SAME),
        "animated.webp": (encoded(rgb, "WEBP", lossless=True, **frames), SAME),
        "pages.tif": (encoded(rgb, "TIFF", **frames), SAME),
        "two.mpo": (encoded(rgb, "MPO", quality=95, **frames), SAME),
    }


def _profiles_and_exif() -> Files:
    """Colour profiles and EXIF, valid and broken; every orientation, and numbers that are none."""
    rgb, srgb = picture(), _srgb_profile()
    files = {
        "profile.jpg": (encoded(rgb, "JPEG", quality=95, icc_profile=srgb), SAME),
        "profile-broken.jpg": (encoded(rgb, "JPEG", quality=95, icc_profile=b"ICC" * 99), SAME),
        "profile-of-rgb-in-cmyk.jpg": (
            encoded(rgb.convert("CMYK"), "JPEG", quality=95, icc_profile=srgb),
            SAME,
        ),
        "exif-broken.jpg": (
            encoded(rgb, "JPEG", quality=95, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12"),
            SAME,
        ),
        "exif-junk.jpg": (encoded(rgb, "JPEG", quality=95, exif=b"Exif\0\0junk"), SAME),
    }
    for value in (*UNDO, 0, 9, 77):
        exif = Image.Exif()
        exif[0x0112] = value
        turned = rgb.transpose(UNDO[value]) if value in UNDO else rgb
        files[f"turned-{value}.jpg"] = (encoded(turned, "JPEG", quality=95, exif=exif), SAME)
    return files


def _formats_and_sizes() -> Files:
    """Every format, odd sizes, endings that don't fit the content."""
    rgb = picture()
    files = {
        "one-pixel.png": (encoded(Image.new("RGB", (1, 1), "white"), "PNG"), WHITE),
        "one-row.png": (encoded(Image.new("RGB", (5000, 1), "white"), "PNG"), WHITE),
        "a-png-named.jpg": (encoded(rgb, "PNG"), SAME),
        "jfif.jfif": (encoded(rgb, "JPEG", quality=95), SAME),
        "tail.jpg": (encoded(rgb, "JPEG", quality=95) + b"appended by something" * 99, SAME),
    }
    for name in ("BMP", "WEBP", "AVIF", "TIFF", "JPEG2000", "PPM", "TGA", "QOI", "PCX", "SGI"):
        files[f"format.{name.lower()}"] = (encoded(rgb, name), SAME)
    if "HEIF" in formats():
        files["phone.heic"] = (encoded(rgb, "HEIF", quality=95), SAME)
    return files


def _damaged_or_hostile() -> Files:
    """Cut off, changed, bombs, and files that are no images."""
    rgb = picture()
    jpeg, whole_png = encoded(rgb, "JPEG"), encoded(rgb, "PNG")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    large = encoded(Image.fromarray(noise), "JPEG")
    bomb = png(50_000, 50_000, b"\0" * 1000)
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"\0" * 80_000_000))
    icon = struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 9, 9, 0, 0, 1, 32, len(bomb), 22)
    return {
        "empty.jpg": (b"", "an empty file"),
        "text.jpg": (b"not an image", "not an image"),
        "page.jpg": (b"<html><body>404 not found</body></html>", "not an image"),
        "vector.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
        "zeros.jpg": (b"\0" * 5000, "not an image"),
        "postscript.jpg": (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
            "not an image",
        ),
        "only-the-head.jpg": (jpeg[:20], "not an image|truncated|damaged"),
        "half.jpg": (large[: len(large) // 2], "truncated"),
        "nearly-whole.jpg": (large[:-200], "truncated"),
        "half.png": (whole_png[: len(whole_png) // 2], "truncated|damaged"),
        "half.gif": (encoded(Image.fromarray(noise), "GIF")[:900], "truncated|damaged"),
        "half.webp": (encoded(Image.fromarray(noise), "WEBP")[:500], "damaged|not an image"),
        "half.avif": (encoded(Image.fromarray(noise), "AVIF")[:500], "damaged|not an image"),
        "half.tif": (encoded(Image.fromarray(noise), "TIFF")[:3000], "damaged|truncated|not an"),
        "half.jp2": (encoded(Image.fromarray(noise), "JPEG2000")[:300], "damaged|not an image"),
        "half.bmp": (encoded(Image.fromarray(noise), "BMP")[:900], "truncated"),
        "bomb.png": (bomb, "limit"),
        "bomb.bmp": (
            b"BM"
            + struct.pack(
                "<IHHIIiiHHIIiiII", 99, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0
            ),
            "limit",
        ),
        "bomb.gif": (
            b"GIF89a"
            + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0)
            + b"\x2c"
            + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0)
            + b"\x02\0;",
            "limit",
        ),
        "bomb-inside.ico": (icon + bomb, "limit"),
        "text-bomb.png": (png(9, 9, b"\0" * 90, text), "damaged"),
        "no-width.png": (png(0, 9, b""), "not an image|damaged"),
        "wrong-checksum.png": (whole_png.replace(b"IDAT", b"IDAT\1", 1), "damaged|not an image"),
        "short-content.png": (png(99, 99, b"\0" * 50), "truncated|damaged"),
        "too-much-content.png": (png(9, 9, b"\0" * 9_000), OPENS),
        "junk-in-the-middle.jpg": (large[:700] + b"\xff\xff\xff" * 50 + large[700:], "damaged"),
        "tiff-in-a-circle.tif": (b"II*\0\x08\0\0\0\0\0\x08\0\0\0", "not an image|damaged"),
        "tiff-of-no-size.tif": (b"II*\0\xff\xff\xff\x7f", "not an image|damaged"),
        "not-supported.heic": (
            b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + b"\0" * 60,
            "pillow-heif|not an image|damaged",
        ),
    }


NAMES = (
    "a space.png",
    "two  spaces .png",
    'it\'s "quoted".png',
    "new\nline.png",
    "tab\tinside.png",
    "-i.png",
    "--help.png",
    "photo;rm -rf $HOME.png",
    "back\\slash.png",
    "ünïcödé.png",
    "照片.png",
    "фото.png",
    "صورة.png",
    "😀.png",
    "%s %d {0}.png",
    "UPPER.PNG",
    "many.dots.jpg.png",
    "a,comma.png",
    "#hash.png",
    "n" * 240 + ".png",
)


def write_collection(folder: Path) -> dict[str, str]:
    """Write all files into the folder; give what must come of each: a word above, or a reason."""
    expected = {}
    files = (
        _colour_modes()
        | _palettes_and_transparency()
        | _bit_depths()
        | _several_frames()
        | _profiles_and_exif()
        | _formats_and_sizes()
        | _damaged_or_hostile()
    )
    for name, (content, wanted) in files.items():
        (folder / name).write_bytes(content)
        expected[name] = wanted
    for name in NAMES:
        picture().save(folder / name)
        expected[name] = SAME
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.jpg")
        expected["pipe.jpg"] = "not a regular file"
        raw = os.fsencode(folder) + b"/not-utf8-\xff.png"
        Path(os.fsdecode(raw)).write_bytes(encoded(picture(), "PNG"))
        expected[os.fsdecode(b"not-utf8-\xff.png")] = SAME
    (folder / "folder.jpg").mkdir()
    (folder / "broken-link.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "circle.jpg").symlink_to(folder / "circle.jpg")
    (folder / "link.jpg").symlink_to(folder / "turned-6.jpg")
    return expected | {
        "folder.jpg": "a folder",
        "broken-link.jpg": "no such file",
        "circle.jpg": "ymbolic",
        "link.jpg": SAME,
    }
