"""What is wrong with a dataset, before anything is computed from it.

Nothing here raises for what it finds: the checks continue past broken rows, to report all at once.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from captioning.data.captions import caption_file, parse_captions
from captioning.data.check_report import Finding, Report
from captioning.data.duplicates import (
    Fingerprints,
    fingerprint_photos,
    identical_photos,
    near_pairs,
)
from captioning.data.photos import list_photos
from captioning.data.splits import SPLITS, read_splits, split_by_name
from captioning.data.text import Tokenizer, clean_caption
from captioning.errors import CaptioningError
from captioning.vision.images import MAX_PIXELS


def check_data(
    images: Path, text: Path, min_count: int = 5, max_pixels: int = MAX_PIXELS
) -> Report:
    """Check every photo, caption and split; all findings in one report.

    min_count: of the vocabulary whose coverage is reported; max_pixels: of a readable photo.
    Raises `CaptioningError` only when a folder, the caption file, or every photo is missing. Shows
    a progress bar on standard error.
    """
    photos = list_photos(images)
    file = caption_file(text)
    rows, broken, not_utf8 = _read_rows(file)
    captions: dict[str, list[str]] = {}
    for name, caption in rows:
        captions.setdefault(name, []).append(clean_caption(caption))
    listed, problem = _listed(text, sorted(set(captions) & set(photos)))
    prints = fingerprint_photos(images, photos, max_pixels)
    unreadable = [f"{name} ({reason})" for name, reason in prints.failed.items()]
    findings = [
        Finding(f"lines of {file.name} that are not UTF-8", True, not_utf8),
        Finding(f"lines of {file.name} that are no name and caption", True, broken),
        Finding("split lists that can't be used", True, problem),
        *_check_splits(listed, set(photos), captions),
        Finding("unreadable photos", True, unreadable),
        *_check_duplicates(prints, listed),
        *_check_captions(set(photos), captions),
    ]
    return Report(
        len(photos),
        len(rows),
        {split: len(names) for split, names in listed.items()},
        _coverage(captions, listed, min_count),
        [f for f in findings if f.names],
    )


def _read_rows(path: Path) -> tuple[list[tuple[str, str]], list[str], list[str]]:
    """The valid rows of a caption file; its broken lines; its lines that are not UTF-8."""
    try:
        raw_lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise CaptioningError(f"cannot read {path}: {error.strerror}") from None
    lines, not_utf8 = [], []
    # Line by line, because decoding the whole would stop at the first line that isn't UTF-8.
    for number, raw in enumerate(raw_lines, 1):
        try:
            lines.append(raw.decode())
        except UnicodeDecodeError:
            not_utf8.append(f"line {number}")
            lines.append(raw.decode(errors="replace"))
    rows, broken = [], []
    for row in parse_captions(path.name, "\n".join(lines)):
        if row.pair is not None:
            rows.append(row.pair)
        else:
            broken.append(f"line {row.line}" + (" and all after it" if row.is_last else ""))
    return rows, broken, not_utf8


def _listed(text: Path, usable: list[str]) -> tuple[dict[str, list[str]], list[str]]:
    """The photos of each split, shared out by name where there are no lists; what is wrong."""
    try:
        listed = read_splits(text)
    except CaptioningError as error:
        return {}, [str(error)]
    return (split_by_name(usable) if listed is None else listed), []


def _check_splits(
    listed: dict[str, list[str]], photos: set[str], captions: dict[str, list[str]]
) -> Iterator[Finding]:
    counts = Counter(name for names in listed.values() for name in names)
    yield Finding("photos in two splits", True, sorted(n for n, c in counts.items() if c > 1))
    for split, names in listed.items():
        missing = [name for name in names if name not in photos]
        without_caption = [name for name in names if not any(captions.get(name, ()))]
        yield Finding(f"photos of {split} that are missing", True, missing)
        yield Finding(f"photos of {split} without caption", True, without_caption)
    yield Finding("photos in no split", False, sorted(photos & set(captions) - set(counts)))


def _check_duplicates(prints: Fingerprints, listed: dict[str, list[str]]) -> Iterator[Finding]:
    # A photo in two splits counts as train's, the first of `SPLITS`.
    split_of = {name: split for split in reversed(SPLITS) for name in listed.get(split, ())}
    across: list[str] = []
    within: list[str] = []
    for names in identical_photos(prints):
        splits = {split_of[name] for name in names if name in split_of}
        harms = "train" in splits and len(splits) > 1
        (across if harms else within).append(" = ".join(names))
    near = [f"{one} ~ {two}" for one, two in near_pairs(prints, split_of)]
    yield Finding("byte-identical photos in train and dev or test", True, across)
    yield Finding("byte-identical photos", False, within)
    yield Finding("near-duplicate photos in train and dev or test", True, near)


def _check_captions(photos: set[str], captions: dict[str, list[str]]) -> Iterator[Finding]:
    empty = sorted(name for name, own in captions.items() if "" in own)
    repeated = sorted(name for name, own in captions.items() if len(set(own)) < len(own))
    yield Finding("captions without photo", False, sorted(set(captions) - photos))
    yield Finding("photos without captions", False, sorted(photos - set(captions)))
    yield Finding("empty captions", False, empty)
    yield Finding("captions repeated for one photo", False, repeated)


def _coverage(
    captions: dict[str, list[str]], listed: dict[str, list[str]], min_count: int
) -> dict[str, float | int]:
    """How much of dev's captions the vocabulary of the training captions covers."""
    of = {
        split: [c for n in listed.get(split, ()) for c in captions.get(n, ())]
        for split in ("train", "dev")
    }
    words = Counter(word for caption in of["dev"] for word in caption.split())
    if not words:
        return {}
    try:
        known = set(Tokenizer.fit(of["train"], min_count).words)
    except CaptioningError:  # no word is that frequent
        known = set()
    covered = sum(count for word, count in words.items() if word in known)
    return {
        "words": words.total(),
        "words_known": covered / words.total(),
        "different": len(words),
        "different_unknown": len(words.keys() - known),
    }
