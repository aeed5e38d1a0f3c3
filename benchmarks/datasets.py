"""How long a dataset of COCO's size takes to read, and how much memory, in each format.

python benchmarks/datasets.py --folder scratch --write coco    # writes it
python benchmarks/datasets.py --folder scratch coco            # reads it

Writes 120,000 photos (2,000 bytes each, or empty files) with five captions each, which are
Flickr8k's over and over, then reads them as features.py does.
"""

import argparse
import csv
import io
import itertools
import json
import resource
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from captioning.data.captions import read_captions
from captioning.data.dataset import dataset_of
from captioning.data.recognise import open_dataset

CAPTIONS_EACH, PHOTO_BYTES, IN_A_SHARD = 5, 2000, 5000

Photos = list[tuple[str, list[str]]]


def split_of(place: int) -> str:
    """One photo of 24 is dev's, as in COCO."""
    return "train" if place % 24 else "val"


def write_files(folder: Path, photos: Photos) -> None:
    """The photos as empty files: they aren't opened."""
    (folder / "images").mkdir(parents=True)
    for name, _ in photos:
        (folder / "images" / name).touch()


def write_coco(folder: Path, photos: Photos) -> None:
    """`captions_train2017.json` and `captions_val2017.json`."""
    write_files(folder, photos)
    for split in ("train", "val"):
        own = [(i, photo) for i, photo in enumerate(photos) if split_of(i) == split]
        images = [{"id": i, "file_name": name, "width": 640, "height": 480} for i, (name, _) in own]
        annotations = [{"image_id": i, "id": i, "caption": c} for i, (_, cs) in own for c in cs]
        content = {"images": images, "annotations": annotations}
        (folder / f"captions_{split}2017.json").write_text(json.dumps(content))


def write_karpathy(folder: Path, photos: Photos) -> None:
    """`dataset_coco.json`, with tokens, as published."""
    write_files(folder, photos)
    images = [
        {
            "filename": name,
            "split": split_of(i),
            "sentences": [{"raw": c, "tokens": c.lower().split()} for c in captions],
        }
        for i, (name, captions) in enumerate(photos)
    ]
    (folder / "dataset_coco.json").write_text(json.dumps({"dataset": "coco", "images": images}))


def write_flickr30k(folder: Path, photos: Photos) -> None:
    """`results_20130124.token`."""
    write_files(folder, photos)
    rows = (f"{name}#{k}\t{c}\n" for name, captions in photos for k, c in enumerate(captions))
    (folder / "results_20130124.token").write_text("".join(rows))


def write_table(folder: Path, photos: Photos) -> None:
    """A CSV file."""
    write_files(folder, photos)
    with (folder / "mine.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "caption", "split"])
        for i, (name, captions) in enumerate(photos):
            writer.writerows([name, c, split_of(i)] for c in captions)


def write_kaggle(folder: Path, photos: Photos) -> None:
    """`captions.txt`."""
    write_files(folder, photos)
    with (folder / "captions.txt").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "caption"])
        for name, captions in photos:
            writer.writerows([name, c] for c in captions)


def write_json_lines(folder: Path, photos: Photos) -> None:
    """A photo a line."""
    write_files(folder, photos)
    rows = ({"image": n, "captions": c, "split": split_of(i)} for i, (n, c) in enumerate(photos))
    (folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_parquet(folder: Path, photos: Photos) -> None:
    """Photos and captions in one file, a thousand in a row group."""
    import pyarrow
    from pyarrow.parquet import write_table

    folder.mkdir()
    table = pyarrow.table(
        {
            "image": [{"bytes": bytes(PHOTO_BYTES), "path": name} for name, _ in photos],
            "caption": [captions for _, captions in photos],
            "split": [split_of(i) for i in range(len(photos))],
        }
    )
    write_table(table, folder / "mine.parquet", row_group_size=1000)


def write_huggingface(folder: Path, photos: Photos) -> None:
    """What `datasets` writes: Arrow files of 5,000 photos, a thousand in a batch."""
    import pyarrow

    for split in ("train", "val"):
        own = [photo for i, photo in enumerate(photos) if split_of(i) == split]
        (folder / split).mkdir(parents=True)
        names = []
        for start in range(0, len(own), IN_A_SHARD):
            part = own[start : start + IN_A_SHARD]
            image = [{"bytes": bytes(PHOTO_BYTES), "path": name} for name, _ in part]
            table = pyarrow.table({"image": image, "captions": [c for _, c in part]})
            names.append(f"data-{start:05}.arrow")
            with pyarrow.ipc.new_stream(str(folder / split / names[-1]), table.schema) as stream:
                stream.write_table(table, max_chunksize=1000)
        state = {"_data_files": [{"filename": name} for name in names]}
        (folder / split / "state.json").write_text(json.dumps(state))
    (folder / "dataset_dict.json").write_text('{"splits": ["train", "val"]}')


def write_shards(folder: Path, photos: Photos) -> None:
    """Tar files of 5,000 photos."""
    folder.mkdir()
    for shard, start in enumerate(range(0, len(photos), IN_A_SHARD)):
        with tarfile.open(folder / f"{shard:03}.tar", "w") as archive:
            for name, captions in photos[start : start + IN_A_SHARD]:
                texts = "\n".join(captions).encode()
                for member, content in (
                    (name, bytes(PHOTO_BYTES)),
                    (name.replace(".jpg", ".txt"), texts),
                ):
                    about = tarfile.TarInfo(member)
                    about.size = len(content)
                    archive.addfile(about, io.BytesIO(content))


def write_folder(folder: Path, photos: Photos) -> None:
    """A text file beside each photo."""
    write_files(folder, photos)
    for name, captions in photos:
        (folder / "images" / name).with_suffix(".txt").write_text("\n".join(captions))


WRITERS: dict[str, Callable[[Path, Photos], None]] = {
    "coco": write_coco,
    "karpathy": write_karpathy,
    "flickr30k": write_flickr30k,
    "kaggle": write_kaggle,
    "csv": write_table,
    "jsonl": write_json_lines,
    "parquet": write_parquet,
    "huggingface": write_huggingface,
    "webdataset": write_shards,
    "folder": write_folder,
}


def made_up(text: Path, count: int) -> Photos:
    """Photos with captions, Flickr8k's over and over."""
    captions: Iterator[str] = itertools.cycle([caption for _, caption in read_captions(text)])
    return [(f"{i:012}.jpg", list(itertools.islice(captions, CAPTIONS_EACH))) for i in range(count)]


def main() -> None:
    """Write what isn't there yet; read it; one format a process, for its peak of memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=Path, default=Path("Flickr_8k_text"))
    parser.add_argument("--folder", type=Path, required=True, help="where the datasets go")
    parser.add_argument("--photos", type=int, default=120_000)
    parser.add_argument("--write", action="store_true", help="write instead of read")
    parser.add_argument("format", choices=WRITERS)
    arguments = parser.parse_args()
    folder = arguments.folder / arguments.format
    if arguments.write:
        WRITERS[arguments.format](folder, made_up(arguments.text, arguments.photos))
        return
    began = time.perf_counter()
    dataset = dataset_of(open_dataset(folder))
    print(
        f"{dataset.report()}\n{time.perf_counter() - began:.1f} s, of the processor "
        f"{time.process_time():.1f} s, "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB"
    )


if __name__ == "__main__":
    main()
