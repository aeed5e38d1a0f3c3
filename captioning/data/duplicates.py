"""Photos that are the same, or nearly: digests and perceptual hashes of all photos of a folder."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image
from tqdm import tqdm

from captioning.vision.images import UnreadableImageError, open_image
from captioning.vision.packed import Photo

HASH_SIDE = 16
"""A hash has a bit for each of 16 x 16 places of the photo."""

NEAR = 32
"""Photos may be near-duplicates when no more of their 256 bits differ; chance gives 128."""

NEAR_THUMBNAIL = 6.0
"""They are when their gray thumbnails also differ by no more than that on average, of 255.

The hash alone takes photos of large even areas, a sky or a wall, for the same."""

ROWS_AT_ONCE = 2048
"""Photos whose hashes are compared with all others in one matrix product."""


@dataclass
class Fingerprints:
    """The readable photos of a folder, N of them, and what tells them apart.

    contents: SHA-256 of each file, in hexadecimal digits; hashes: float32 (N, 256) of 1 and -1;
    thumbnails: float32 (N, 256), gray from 0 to 255; failed: {name of an unreadable photo: reason}.
    """

    names: list[str]
    contents: list[str]
    hashes: np.ndarray
    thumbnails: np.ndarray
    failed: dict[str, str]


def fingerprint_photos(
    photo: Callable[[str], Photo], names: list[str], max_pixels: int
) -> Fingerprints:
    """Read the photos `names`. Shows a progress bar on standard error.

    photo: where the photo of a name is read from.
    """

    def read(name: str) -> tuple[str, np.ndarray, np.ndarray] | str:
        try:
            image = open_image(photo(name), max_pixels)
            content = hashlib.sha256(photo(name).read_bytes()).hexdigest()
        except UnreadableImageError as error:
            return str(error)
        except OSError as error:
            return error.strerror or str(error)
        return content, perceptual_hash(image), _thumbnail(image)

    with ThreadPoolExecutor(2) as pool:
        found = list(tqdm(pool.map(read, names), total=len(names), unit=" photos", desc="checking"))
    good = [(name, f) for name, f in zip(names, found, strict=True) if not isinstance(f, str)]
    return Fingerprints(
        [name for name, _ in good],
        [f[0] for _, f in good],
        np.array([f[1] for _, f in good], np.float32).reshape(len(good), -1),
        np.array([f[2] for _, f in good], np.float32).reshape(len(good), -1),
        {name: f for name, f in zip(names, found, strict=True) if isinstance(f, str)},
    )


def perceptual_hash(image: Image.Image) -> np.ndarray:
    """256 signs: whether the photo gets brighter from each place to the next one to the right.

    The "dHash" of https://www.hackerfactor.com/blog/index.php?/archives/529-Kind-of-Like-That.html,
    of 16 x 16 places; as int8 of 1 and -1, (256,), so that a dot product of two tells how many
    are equal.
    """
    gray = image.convert("L").resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BOX)
    values = np.asarray(gray, np.int16)  # (16, 17)
    return np.where(values[:, 1:] > values[:, :-1], 1, -1).astype(np.int8).reshape(-1)  # (256,)


def _thumbnail(image: Image.Image) -> np.ndarray:
    small = image.convert("L").resize((HASH_SIDE, HASH_SIDE), Image.Resampling.BOX)
    return np.asarray(small, np.uint8).reshape(-1)  # (256,)


def identical_photos(prints: Fingerprints) -> list[list[str]]:
    """The names of photos whose files are equal byte for byte, a list for each such content."""
    groups: dict[str, list[str]] = {}
    for name, content in zip(prints.names, prints.contents, strict=True):
        groups.setdefault(content, []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def near_pairs(prints: Fingerprints, split_of: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Pairs of a photo of train and one of dev or test that look the same without being equal."""
    train = np.array([i for i, n in enumerate(prints.names) if split_of.get(n) == "train"], int)
    other = np.array(
        [i for i, n in enumerate(prints.names) if split_of.get(n) in ("dev", "test")], int
    )
    bits = prints.hashes.shape[1] if len(prints.names) else 0
    for start in range(0, len(train), ROWS_AT_ONCE):
        part = train[start : start + ROWS_AT_ONCE]
        # Of signs the dot product is equal bits minus differing bits.
        differing = (bits - prints.hashes[part] @ prints.hashes[other].T) / 2  # (part, other)
        for row, column in zip(*np.nonzero(differing <= NEAR), strict=True):
            one, two = part[row], other[column]
            distance = np.abs(prints.thumbnails[one] - prints.thumbnails[two]).mean()
            if distance <= NEAR_THUMBNAIL and prints.contents[one] != prints.contents[two]:
                yield prints.names[one], prints.names[two]
