"""What is wrong with a dataset, before anything is computed from it.

Nothing here raises for what it finds: the checks continue past broken rows, to report all at once.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from captioning.data.captions import open_folders
from captioning.data.check_report import Finding, Report
from captioning.data.contents import Contents, read_contents
from captioning.data.dataset import MAX_WORDS
from captioning.data.duplicates import (
    Fingerprints,
    fingerprint_photos,
    identical_photos,
    near_pairs,
)
from captioning.data.source import Source
from captioning.data.splits import SPLITS, split_by_name
from captioning.data.text import CLEANING, Tokenizer
from captioning.errors import CaptioningError
from captioning.vision.images import MAX_PIXELS


def check_data(
    images: Path, text: Path, min_count: int = 5, max_pixels: int = MAX_PIXELS
) -> Report:
    """Check a folder of photos and one of captions, as `check_source` does."""
    return check_source(open_folders(images, text), min_count, max_pixels)


def check_source(
    source: Source,
    min_count: int = 5,
    max_pixels: int = MAX_PIXELS,
    max_words: int = MAX_WORDS,
) -> Report:
    """Check every photo, caption and split; all findings in one report.

    min_count: of the vocabulary whose coverage is reported; max_pixels: of a readable photo;
    max_words: of a caption. Raises `CaptioningError` only when a folder, the caption file, or every
    photo is missing. Shows a progress bar on standard error.
    """
    contents = read_contents(source, CLEANING, max_words)
    photos, captions = contents.photos, contents.captions
    listed, problem = _listed(contents)
    prints = fingerprint_photos(source.photo, photos, max_pixels)
    unreadable = [f"{name} ({reason})" for name, reason in prints.failed.items()]
    fits = any(any(captions.get(name, ())) for name in photos)
    findings = [
        *_check_rows(contents),
        Finding("no photo has a caption", True, [] if fits else [contents.nothing_fits()]),
        Finding("split lists that can't be used", True, problem),
        *_check_splits(listed, set(photos), captions),
        Finding("unreadable photos", True, unreadable),
        *_check_duplicates(prints, listed),
        *_check_captions(set(photos), contents),
    ]
    return Report(
        len(photos),
        sum(map(len, captions.values())) + len(contents.too_long),
        {split: len(names) for split, names in listed.items()},
        _coverage(captions, listed, min_count),
        [f for f in findings if f.names],
    )


def _check_rows(contents: Contents) -> Iterator[Finding]:
    """What each file has of broken rows."""
    for file in dict.fromkeys(row.file for row in contents.broken):
        rows = [row for row in contents.broken if row.file == file]
        not_utf8 = [row.place for row in rows if row.not_utf8]
        yield Finding(f"lines of {file.name} that are not UTF-8", True, not_utf8)
        others = [row for row in rows if not row.not_utf8]
        what = "lines" if all(row.place.startswith("line") for row in others) else "parts"
        places = [f"{r.place} ({r.problem})" if r.ends_file else r.place for r in others]
        yield Finding(f"{what} of {file.name} that are no name and caption", True, places)


def _listed(contents: Contents) -> tuple[dict[str, list[str]], list[str]]:
    """The photos of each split, shared out by name where there are no lists; what is wrong."""
    usable = sorted(set(contents.captions) & set(contents.photos))
    try:
        listed = contents.listed(("train", "dev"))
    except CaptioningError as error:
        return {}, [str(error)]
    listed = split_by_name(usable) if listed is None else listed
    with_caption = {name for name in usable if any(contents.captions[name])}
    empty = [s for s in ("train", "dev") if not with_caption.intersection(listed.get(s, ()))]
    return listed, [f"no photo with a caption in {split}" for split in empty]


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


def _check_captions(photos: set[str], contents: Contents) -> Iterator[Finding]:
    captions = contents.captions
    empty = sorted(name for name, own in captions.items() if "" in own)
    repeated = sorted(name for name, own in captions.items() if len(set(own)) < len(own))
    yield Finding("captions without photo", False, sorted(set(captions) - photos))
    yield Finding("photos without captions", False, sorted(photos - set(captions)))
    yield Finding("empty captions", False, empty)
    yield Finding("captions repeated for one photo", False, repeated)
    long = f"captions of more than {contents.max_words} words, left out"
    yield Finding(long, False, contents.too_long)
    written = "names taken for photos that are written otherwise"
    yield Finding(written, False, contents.renamed)
    cut = "captions in scripts without spaces, cut into characters"
    yield Finding(cut, False, contents.cut)
    yield Finding("names that are not Unicode, left out", True, contents.unwritable)
    others = "names of splits that aren't train, dev or test"
    yield Finding(others, False, contents.other_splits)


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
