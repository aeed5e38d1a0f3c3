"""One small dataset, written in every format that is read."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

PHOTOS = [f"{number}.jpg" for number in range(1, 13)]

CAPTIONS = {name: [f"A dog, number {name[:-4]} .", 'It "runs" .'] for name in PHOTOS}

CLEAN = {name: [f"a dog number {name[:-4]}", "it runs"] for name in PHOTOS}

SPLITS = {"train": PHOTOS[:8], "dev": PHOTOS[8:10], "test": PHOTOS[10:]}

SPLIT_OF = {name: split for split, names in SPLITS.items() for name in names}


def photo_bytes(name: str) -> bytes:
    """A photo of its own for each name."""
    pixels = np.random.default_rng(int(name[:-4])).integers(0, 256, (9, 9, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((64, 64)).save(file, "JPEG")
    return file.getvalue()


def write_photos(folder: Path) -> Path:
    """The photos, as files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PHOTOS:
        (folder / name).write_bytes(photo_bytes(name))
    return folder


def pairs() -> list[tuple[str, str]]:
    """(photo, caption), a row a caption."""
    return [(name, caption) for name, captions in CAPTIONS.items() for caption in captions]


def write_lists(folder: Path) -> None:
    """Flickr8k's lists of the splits."""
    for split, names in SPLITS.items():
        (folder / f"Flickr_8k.{split}Images.txt").write_text("\n".join(names) + "\n")


def flickr8k(folder: Path) -> None:
    """The token file and the lists in a folder beside that of the photos."""
    write_photos(folder / "Flicker8k_Dataset")
    text = folder / "Flickr_8k_text"
    text.mkdir()
    rows = [f"{name}#{i}\t{c}\n" for name, own in CAPTIONS.items() for i, c in enumerate(own)]
    (text / "Flickr8k.token.txt").write_text("".join(rows))
    write_lists(text)


def quoted(caption: str) -> str:
    """As a cell of a CSV file."""
    return '"' + caption.replace('"', '""') + '"'


def kaggle(folder: Path) -> None:
    """`captions.txt` and `Images/`."""
    write_photos(folder / "Images")
    rows = "".join(f"{name},{quoted(caption)}\n" for name, caption in pairs())
    (folder / "captions.txt").write_text("image,caption\n" + rows)
    write_lists(folder)


def karpathy(folder: Path) -> None:
    """`dataset_flickr8k.json`."""
    write_photos(folder / "flickr8k")
    images = [
        {
            "filename": name,
            "split": SPLIT_OF[name].replace("dev", "val"),
            "sentences": [{"raw": caption, "tokens": []} for caption in CAPTIONS[name]],
        }
        for name in PHOTOS
    ]
    content = {"dataset": "flickr8k", "images": images}
    (folder / "dataset_flickr8k.json").write_text(json.dumps(content))


def coco(folder: Path) -> None:
    """`annotations/captions_train2017.json` and the like, each with a folder of photos."""
    (folder / "annotations").mkdir(parents=True)
    for split, ours in (("train", "train"), ("val", "dev"), ("test", "test")):
        images = [{"id": int(n[:-4]), "file_name": n} for n in SPLITS[ours]]
        annotations = [
            {"image_id": int(n[:-4]), "id": i, "caption": c}
            for i, (n, c) in enumerate(pairs())
            if SPLIT_OF[n] == ours
        ]
        (folder / "annotations" / f"captions_{split}2017.json").write_text(
            json.dumps({"images": images, "annotations": annotations})
        )
        photos = folder / f"{split}2017"
        photos.mkdir()
        for name in SPLITS[ours]:
            (photos / name).write_bytes(photo_bytes(name))


def flickr30k(folder: Path) -> None:
    """`results_20130124.token`."""
    write_photos(folder / "flickr30k_images")
    rows = [f"{name}#{i}\t{c}\n" for name, own in CAPTIONS.items() for i, c in enumerate(own)]
    (folder / "results_20130124.token").write_text("".join(rows))
    write_lists(folder)


def flickr30k_bars(folder: Path) -> None:
    """`results.csv`."""
    write_photos(folder / "flickr30k_images")
    rows = [f"{n}| {i}| {c}\n" for n, own in CAPTIONS.items() for i, c in enumerate(own)]
    (folder / "results.csv").write_text("image_name| comment_number| comment\n" + "".join(rows))
    write_lists(folder)


def webdataset(folder: Path, text: str = "txt") -> None:
    """Shards, two of train."""
    folder.mkdir(exist_ok=True)
    parts = {"train-0": PHOTOS[:5], "train-1": PHOTOS[5:8]}
    parts |= {"val-0": SPLITS["dev"], "test-0": SPLITS["test"]}
    for part, names in parts.items():
        with tarfile.open(folder / f"{part}.tar", "w") as archive:
            for name in names:
                captions = {"txt": "\n".join(CAPTIONS[name]), "json": json.dumps(CAPTIONS[name])}
                for ending, content in (
                    ("jpg", photo_bytes(name)),
                    (text, captions[text].encode()),
                ):
                    member = tarfile.TarInfo(f"{name[:-4]}.{ending}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))


def webdataset_json(folder: Path) -> None:
    """Shards with the captions in JSON."""
    webdataset(folder, "json")


def table(folder: Path, ending: str = "csv") -> None:
    """A table with a column of splits."""
    write_photos(folder / "photos")
    rows = [(name, caption, SPLIT_OF[name]) for name, caption in pairs()]
    if ending == "jsonl":
        objects = (
            {"file_name": name, "text": CAPTIONS[name], "split": SPLIT_OF[name]} for name in PHOTOS
        )
        (folder / "my.jsonl").write_text("".join(json.dumps(o) + "\n" for o in objects))
        return
    between = {"csv": ",", "tsv": "\t"}[ending]
    lines = [between.join((n, quoted(c), s)) for n, c, s in rows]
    header = between.join(("filename", "caption", "split"))
    (folder / f"my.{ending}").write_text("\n".join([header, *lines]) + "\n")


def table_tsv(folder: Path) -> None:
    """The same with tabs."""
    table(folder, "tsv")


def table_jsonl(folder: Path) -> None:
    """The same as JSON lines, all captions of a photo in one."""
    table(folder, "jsonl")


def arrow_table(names: list[str]) -> object:
    """Photos and captions as Hugging Face lays them."""
    import pyarrow

    return pyarrow.table(
        {
            "image": [{"bytes": photo_bytes(name), "path": name} for name in names],
            "caption": [CAPTIONS[name] for name in names],
        }
    )


def parquet(folder: Path) -> None:
    """Photos and captions in Parquet files, one a split, with several row groups."""
    from pyarrow.parquet import write_table

    (folder / "data").mkdir(parents=True)
    for split, names in SPLITS.items():
        write_table(
            arrow_table(names),
            folder / "data" / f"{split}-00000-of-00001.parquet",
            row_group_size=3,
        )


def write_arrow(path: Path, table: object, rows_at_once: int = 3) -> None:
    """An Arrow stream in several batches, as `datasets` writes it."""
    import pyarrow

    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        pyarrow.OSFile(str(path), "wb") as file,
        pyarrow.ipc.new_stream(file, table.schema) as stream,
    ):
        stream.write_table(table, max_chunksize=rows_at_once)


def save_to_disk(folder: Path, tables: list[object], split: str | None = None) -> None:
    """What `datasets.Dataset.save_to_disk` writes, an Arrow file a table.

    split: the one it was loaded as, which it keeps whatever is done with it.
    """
    names = [f"data-{n:05d}-of-{len(tables):05d}.arrow" for n in range(len(tables))]
    for name, table in zip(names, tables, strict=True):
        write_arrow(folder / name, table)
    state = {"_data_files": [{"filename": name} for name in names], "_split": split}
    state |= {"_fingerprint": "df5a43b2c4775d8f", "_format_columns": None, "_format_type": None}
    (folder / "state.json").write_text(json.dumps(state, indent=2))
    (folder / "dataset_info.json").write_text('{"citation": "", "features": {}}')


def huggingface(folder: Path) -> None:
    """What `datasets.DatasetDict.save_to_disk` writes of one split that was shared out."""
    for split, names in SPLITS.items():
        split = split.replace("dev", "validation")
        half = (len(names) + 1) // 2
        tables = [arrow_table(names[:half]), arrow_table(names[half:])]
        save_to_disk(folder / split, tables, split="train")
    names = ["train", "validation", "test"]
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": names}))


def huggingface_cache(folder: Path) -> None:
    """A dataset in the cache of `datasets`: the photos are files, elsewhere."""
    import pyarrow

    photos = write_photos(folder / "downloads")
    here = folder / "generator" / "default" / "0.0.0"
    for split, names in SPLITS.items():
        images = [{"bytes": None, "path": str(photos / name)} for name in names]
        kind = pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
        captions = pyarrow.array([CAPTIONS[name] for name in names])
        table = pyarrow.table({"image": pyarrow.array(images, kind), "caption": captions})
        write_arrow(here / f"generator-{split}.arrow", table)
    write_arrow(here / "cache-0f1e.arrow", table)  # of a function that was mapped over it
    (here / "dataset_info.json").write_text(json.dumps({"splits": dict.fromkeys(SPLITS, {})}))


def folder(folder: Path) -> None:
    """A text file beside each photo."""
    for split, names in SPLITS.items():
        here = folder / split
        here.mkdir(parents=True)
        for name in names:
            (here / name).write_bytes(photo_bytes(name))
            (here / name).with_suffix(".txt").write_text("\n".join(CAPTIONS[name]) + "\n")


WRITERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "flickr8k": ("flickr8k", flickr8k),
    "kaggle": ("kaggle", kaggle),
    "karpathy": ("karpathy", karpathy),
    "coco": ("coco", coco),
    "flickr30k": ("flickr30k", flickr30k),
    "flickr30k with bars": ("flickr30k", flickr30k_bars),
    "webdataset": ("webdataset", webdataset),
    "webdataset with JSON": ("webdataset", webdataset_json),
    "CSV": ("table", table),
    "TSV": ("table", table_tsv),
    "JSON lines": ("table", table_jsonl),
    "Parquet": ("table", parquet),
    "huggingface": ("huggingface", huggingface),
    "huggingface's cache": ("huggingface", huggingface_cache),
    "folder": ("folder", folder),
}
"""{what: (the format's name, writes it into a folder)}"""
