"""What is wrong with a dataset, before anything is computed: one report, for people or programs.

Nothing here raises for what it finds: it goes on past broken rows, to tell of all at once.
"""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from captioning.data.captions import caption_file, correction_row, token_row
from captioning.data.photos import list_photos
from captioning.data.splits import SPLITS, read_splits, split_by_name
from captioning.data.text import Tokenizer, clean_caption
from captioning.errors import CaptioningError, shown
from captioning.vision.images import MAX_PIXELS, UnreadableImageError, open_image

HASH_SIDE = 16


NEAR = 32
"""Photos whose hashes of 256 bits differ in no more bits look the same; chance gives 128."""


NEAR_THUMBNAIL = 6.0
"""And whose small gray pictures differ by no more than that on average, of 255."""


ROWS_AT_ONCE = 2048


@dataclass
class Finding:
    """Something that was found; `harms`: whether it would make a result wrong or impossible."""

    what: str
    harms: bool
    names: list[str]


@dataclass
class Report:
    """All that was found, and the numbers of what was looked at."""

    photos: int
    captions: int
    splits: dict[str, int]
    coverage: dict[str, float | int]
    findings: list[Finding] = field(default_factory=list)

    @property
    def harms(self) -> bool:
        """Whether something was found that would harm a result."""
        return any(finding.harms for finding in self.findings)

    def as_dict(self) -> dict:
        """Plain values, for JSON."""
        return {**asdict(self), "harms": self.harms}

    def as_text(self) -> str:
        """Lines for people: what would harm a result first, five names of each."""
        splits = ", ".join(f"{name} {count:,}" for name, count in self.splits.items())
        lines = [f"{self.photos:,} photos, {self.captions:,} captions; listed: {splits}"]
        if self.coverage:
            lines.append(
                "the vocabulary of train covers {words_known:.2%} of dev's {words:,} words; of its "
                "{different:,} different ones {different_unknown:,} are <unk>".format(
                    **self.coverage
                )
            )
        for finding in sorted(self.findings, key=lambda f: not f.harms):
            names = ", ".join(map(shown, finding.names[:5]))
            more = f", and {len(finding.names) - 5:,} more" if len(finding.names) > 5 else ""
            mark = "HARMS" if finding.harms else "note "
            lines.append(f"{mark}  {finding.what}: {len(finding.names):,} ({names}{more})")
        lines.append(f"{'something' if self.harms else 'nothing'} would harm a result")
        return "\n".join(lines)


def check_data(
    images: Path, text: Path, min_count: int = 5, max_pixels: int = MAX_PIXELS
) -> Report:
    """Look at every photo, caption and split. Raises `CaptioningError` only when a folder, the
    caption file, or every photo is missing. Shows a progress bar on standard error.
    """
    photos = list_photos(images)
    file = caption_file(text)
    rows, broken, not_utf8 = _rows(file)
    captions: dict[str, list[str]] = {}
    for name, caption in rows:
        captions.setdefault(name, []).append(clean_caption(caption))
    listed, problem = _listed(text, sorted(set(captions) & set(photos)))
    looked_at = _look_at(images, photos, max_pixels)
    findings = [
        Finding(f"lines of {file.name} that are not UTF-8", True, not_utf8),
        Finding(f"lines of {file.name} that are no name and caption", True, broken),
        Finding("split lists that can't be used", True, problem),
        *_about_splits(listed, set(photos), captions),
        Finding(
            "unreadable photos",
            True,
            [f"{name} ({reason})" for name, reason in looked_at.failed.items()],
        ),
        *_about_duplicates(looked_at, listed),
        Finding("captions without photo", False, sorted(set(captions) - set(photos))),
        Finding("photos without captions", False, sorted(set(photos) - set(captions))),
        Finding("empty captions", False, sorted(n for n, own in captions.items() if "" in own)),
        Finding(
            "captions repeated for one photo",
            False,
            sorted(n for n, own in captions.items() if len(set(own)) < len(own)),
        ),
    ]
    return Report(
        len(photos),
        len(rows),
        {split: len(names) for split, names in listed.items()},
        _coverage(captions, listed, min_count),
        [f for f in findings if f.names],
    )


def _rows(path: Path) -> tuple[list[tuple[str, str]], list[str], list[str]]:
    """The rows of a caption file; the lines that are broken; the lines that are not UTF-8."""
    try:
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise CaptioningError(f"cannot read {path}: {error.strerror}") from None
    texts, not_utf8 = [], []
    for number, line in enumerate(lines, 1):
        try:
            texts.append(line.decode())
        except UnicodeDecodeError:
            not_utf8.append(f"line {number}")
            texts.append(line.decode(errors="replace"))
    if path.suffix != ".jsonl" and "token" not in path.name:
        return *_table(texts), not_utf8
    read = correction_row if path.suffix == ".jsonl" else token_row
    rows, broken = [], []
    for number, line in enumerate(texts, 1):
        if line.strip():
            row = read(line.rstrip("\r"))
            if row is None:
                broken.append(f"line {number}")
            else:
                rows.append(row)
    return rows, broken, not_utf8


def _table(lines: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    reader = csv.reader(io.StringIO("\n".join(lines), newline=""))
    rows, broken = [], []
    try:
        for number, row in enumerate(reader):
            if number and row:
                if len(row) == 2 and row[0]:
                    rows.append((row[0], row[1]))
                else:
                    broken.append(f"line {reader.line_num}")
    except csv.Error:
        broken.append(f"line {reader.line_num} and all after it")
    return rows, broken


def _listed(text: Path, usable: list[str]) -> tuple[dict[str, list[str]], list[str]]:
    try:
        listed = read_splits(text)
    except CaptioningError as error:
        return {}, [str(error)]
    return (split_by_name(usable) if listed is None else listed), []


def _about_splits(
    listed: dict[str, list[str]], photos: set[str], captions: dict[str, list[str]]
) -> Iterator[Finding]:
    counts = Counter(name for names in listed.values() for name in names)
    yield Finding("photos in two splits", True, sorted(n for n, c in counts.items() if c > 1))
    for split, names in listed.items():
        missing = [name for name in names if name not in photos]
        silent = [name for name in names if not any(captions.get(name, ()))]
        yield Finding(f"photos of {split} that are missing", True, missing)
        yield Finding(f"photos of {split} without caption", True, silent)
    yield Finding("photos in no split", False, sorted(photos & set(captions) - set(counts)))


@dataclass
class _Looks:
    """names of the readable photos, their contents' SHA-256, hashes (photos, 256) of 1 and -1,
    thumbnails (photos, 256); failed: {name: reason}."""

    names: list[str]
    contents: list[str]
    hashes: np.ndarray
    thumbnails: np.ndarray
    failed: dict[str, str]


def _look_at(images: Path, names: list[str], max_pixels: int) -> _Looks:
    def look(name: str) -> tuple[str, np.ndarray, np.ndarray] | str:
        try:
            image = open_image(images / name, max_pixels)
            content = hashlib.sha256((images / name).read_bytes()).hexdigest()
        except UnreadableImageError as error:
            return str(error)
        except OSError as error:
            return error.strerror or str(error)
        return content, perceptual_hash(image), _thumbnail(image)

    with ThreadPoolExecutor(2) as pool:
        found = list(tqdm(pool.map(look, names), total=len(names), unit=" photos", desc="looking"))
    good = [(name, f) for name, f in zip(names, found, strict=True) if not isinstance(f, str)]
    return _Looks(
        [name for name, _ in good],
        [f[0] for _, f in good],
        np.array([f[1] for _, f in good], np.float32).reshape(len(good), -1),
        np.array([f[2] for _, f in good], np.float32).reshape(len(good), -1),
        {name: f for name, f in zip(names, found, strict=True) if isinstance(f, str)},
    )


def perceptual_hash(image: Image.Image) -> np.ndarray:
    """256 signs: whether the photo gets brighter from each place to the next one to the right.

    The "dHash" of https://www.hackerfactor.com/blog/index.php?/archives/529-Kind-of-Like-That.html,
    of 16 x 16 places; as int8 of 1 and -1, so that a product of two counts the equal ones.
    """
    gray = image.convert("L").resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BOX)
    values = np.asarray(gray, np.int16)  # (16, 17)
    return np.where(values[:, 1:] > values[:, :-1], 1, -1).astype(np.int8).reshape(-1)  # (256,)


def _thumbnail(image: Image.Image) -> np.ndarray:
    small = image.convert("L").resize((HASH_SIDE, HASH_SIDE), Image.Resampling.BOX)
    return np.asarray(small, np.uint8).reshape(-1)  # (256,)


def _about_duplicates(looks: _Looks, listed: dict[str, list[str]]) -> Iterator[Finding]:
    split_of = {name: split for split in reversed(SPLITS) for name in listed.get(split, ())}
    groups: dict[str, list[str]] = {}
    for name, content in zip(looks.names, looks.contents, strict=True):
        groups.setdefault(content, []).append(name)
    across, within = [], []
    for names in groups.values():
        if len(names) > 1:
            splits = {split_of[name] for name in names if name in split_of}
            harms = "train" in splits and len(splits) > 1
            (across if harms else within).append(" = ".join(names))
    yield Finding("byte-identical photos in train and dev or test", True, across)
    yield Finding("byte-identical photos", False, within)
    yield Finding(
        "near-duplicate photos in train and dev or test", True, list(_near_pairs(looks, split_of))
    )


def _near_pairs(looks: _Looks, split_of: dict[str, str]) -> Iterator[str]:
    """`train's photo ~ another split's` of each pair that looks the same without being it."""
    train = np.array([i for i, n in enumerate(looks.names) if split_of.get(n) == "train"], int)
    other = np.array(
        [i for i, n in enumerate(looks.names) if split_of.get(n) in ("dev", "test")], int
    )
    bits = looks.hashes.shape[1] if len(looks.names) else 0
    for start in range(0, len(train), ROWS_AT_ONCE):
        part = train[start : start + ROWS_AT_ONCE]
        differing = (bits - looks.hashes[part] @ looks.hashes[other].T) / 2  # (part, other)
        for row, column in zip(*np.nonzero(differing <= NEAR), strict=True):
            one, two = part[row], other[column]
            far = np.abs(looks.thumbnails[one] - looks.thumbnails[two]).mean()
            if far <= NEAR_THUMBNAIL and looks.contents[one] != looks.contents[two]:
                yield f"{looks.names[one]} ~ {looks.names[two]}"


def _coverage(
    captions: dict[str, list[str]], listed: dict[str, list[str]], min_count: int
) -> dict[str, float | int]:
    """How much of dev's captions the words of the training captions cover."""
    of = {
        split: [c for n in listed.get(split, ()) for c in captions.get(n, ())]
        for split in ("train", "dev")
    }
    words = Counter(word for caption in of["dev"] for word in caption.split())
    if not words:
        return {}
    try:
        known = set(Tokenizer.fit(of["train"], min_count).words)
    except CaptioningError:
        known = set()
    covered = sum(count for word, count in words.items() if word in known)
    return {
        "words": words.total(),
        "words_known": covered / words.total(),
        "different": len(words),
        "different_unknown": len(words.keys() - known),
    }
