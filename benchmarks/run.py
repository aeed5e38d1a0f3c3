"""The classic recipe and ours, side by side on the same work: python benchmarks/run.py all

The ratios count: both ways take turns in one run, because machines are noisy.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parent.parent
sys.path[0] = str(ROOT)  # the project, instead of this file's folder

from captioning.backend import import_keras
from captioning.commands.run import run_main
from captioning.errors import CaptioningError

if TYPE_CHECKING:
    from benchmarks.comparison import Comparison
    from benchmarks.growth import Growth

STEPS = ("features", "train", "decode", "critic", "start")
SHIPPED = ROOT / "models" / "flickr8k-merge"
JUDGED = ROOT / "models" / "flickr8k"
"""The model with a critic."""
README = Path(__file__).parent / "README.md"


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add(
        "step",
        choices=[*STEPS, "growth", "all"],
        help="what to compare; growth: seconds and memory as photos grow; all: everything, and "
        "write benchmarks/README.md",
    )
    add("--images", type=Path, help="a folder of real photos (default: rendered scenes)")
    add("--weights", default="imagenet", help="Xception's: imagenet (fetched by Keras) or a file")
    add("--photos", type=int, default=96, help="how many photos are encoded")
    add("--rounds", type=int, default=3, help="how often both ways take turns; the median counts")
    add(
        "--sizes",
        type=int,
        nargs="+",
        default=[1000, 8000, 32000, 128000],
        help="photos of the growth table",
    )
    add(
        "--small",
        action="store_true",
        help="little work, to see that it runs",
    )
    add("--format", choices=["text", "json"], default="text", help="of standard output")
    return parser.parse_args()


def comparisons(arguments: argparse.Namespace, step: str) -> Iterator["Comparison"]:
    """Those of one step."""
    from benchmarks.choosing import compare_choosing
    from benchmarks.decoding import compare_decoding
    from benchmarks.start import compare_start
    from benchmarks.training import compare_training
    from benchmarks.vectors import compare_vectors

    small, rounds = arguments.small, arguments.rounds
    if step == "train":
        sizes = {"photos": 40, "steps": 3, "width": 16, "vector_size": 8} if small else {}
        yield from compare_training(rounds=rounds, **sizes)
    elif step == "decode":
        sizes = {"photos": 20, "few": 2} if small else {}
        yield from compare_decoding(SHIPPED, rounds=rounds, **sizes)
    elif step == "critic":
        sizes = {"photos": 16, "training": 100} if small else {}
        yield from compare_choosing(JUDGED, rounds=rounds, **sizes)
    else:
        with tempfile.TemporaryDirectory() as folder:
            photos = some_photos(arguments, Path(folder))
            if step == "start":
                yield from compare_start(photos[0], SHIPPED, arguments.weights, rounds)
            else:
                yield from compare_vectors(photos, arguments.weights, rounds, small)


def some_photos(arguments: argparse.Namespace, folder: Path) -> list[Path]:
    """The photos to encode: those of --images, or scenes rendered into `folder`."""
    if arguments.images:
        from captioning.data.photos import list_photos

        names = list_photos(arguments.images)[: arguments.photos]
        return [arguments.images / name for name in names]
    from captioning.scenes.dataset import write_scenes

    names = write_scenes(folder, arguments.photos, 0, 0, seed=1)
    return [folder / "Flicker8k_Dataset" / name for name in names]


def command_of(arguments: argparse.Namespace) -> str:
    """The command that measures the same again; folders and files without their path."""
    parts = ["python benchmarks/run.py", arguments.step]
    if arguments.images:
        parts += ["--images", arguments.images.name, "--weights", Path(arguments.weights).name]
    parts += ["--photos", arguments.photos, "--rounds", arguments.rounds]
    parts += ["--sizes", *arguments.sizes] if arguments.step in ("growth", "all") else []
    return " ".join(map(str, parts))


def cells_of(row: "Comparison") -> list[str]:
    """A comparison as cells of a table."""
    limit = "" if row.share is None else f"{row.share:.0%}"
    target = f"{'at most' if row.at_most else 'at least'} {row.target:g}"
    verdict = "reached" if row.reached else "missed"
    if not row.reached and row.highest is not None and row.highest < row.target:
        verdict += f" (at the limit: {row.highest:.1f})"
    checks = "; ".join(
        f"{what} {value:.6g}" if isinstance(value, float) else f"{what} {value}"
        for what, value in row.checks.items()
    )
    return [
        row.name,
        f"{row.classic:,.3g} {row.unit}",
        f"{row.ours:,.4g} {row.unit}",
        f"{row.ratio:,.3g}",
        f"{row.by_processor:,.3g}",
        f"{target}: {verdict}",
        limit,
        checks,
    ]


HEADINGS = [
    "step",
    "classic",
    "ours",
    "ratio",
    "of processor time",
    "wanted",
    "of the limit",
    "same work",
]


def markdown(rows: list[list[str]]) -> list[str]:
    """A table with `HEADINGS`."""
    lines = [HEADINGS, ["---"] * len(HEADINGS), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def write_readme(about: dict[str, Any], rows: list["Comparison"], grown: "list[Growth]") -> None:
    """Write `benchmarks/README.md` from what was just measured."""
    from benchmarks.growth import table
    from captioning.files.text import read_text, write_text

    text = read_text(Path(__file__).parent / "notes.md", "the text around the tables")
    for mark, lines in (
        ("{machine}", [about["machine"]]),
        (
            "{limit}",
            [f"{about['float32']:,.0f} GFLOP/s in float32, {about['bfloat16']:,.0f} in bfloat16"],
        ),
        ("{load}", [about["load"]]),
        ("{command}", [about["command"]]),
        ("{comparisons}", markdown([cells_of(row) for row in rows])),
        ("{growth}", table(grown)),
    ):
        text = text.replace(mark, "\n".join(lines))
    write_text(README, text)


def main() -> int:
    """Compare, print, and with `all` write the README."""
    arguments = parse_arguments()
    if arguments.photos < 1 or arguments.rounds < 1 or min(arguments.sizes) < 100:
        raise CaptioningError("--photos and --rounds must be at least 1, --sizes at least 100")
    if arguments.images and not arguments.images.is_dir():
        raise CaptioningError(f"there is no folder {arguments.images}")
    import_keras()
    from benchmarks import growth, machine

    about = {
        "machine": machine.describe(),
        "load": machine.load(),
        "command": command_of(arguments),
        **{kind: machine.peak(kind) / 1e9 for kind in ("float32", "bfloat16")},
    }
    if arguments.format == "text":
        print(
            f"{about['machine']}\nlimit: {about['float32']:,.0f} GFLOP/s in float32, "
            f"{about['bfloat16']:,.0f} in bfloat16",
            flush=True,
        )
    rows: list[Comparison] = []
    for step in STEPS if arguments.step == "all" else [arguments.step]:
        for row in comparisons(arguments, step) if step != "growth" else ():
            rows.append(row)
            if arguments.format == "text":
                print(" | ".join(cells_of(row)), flush=True)
    grown: list[Growth] = []
    if arguments.step in ("growth", "all"):
        grown = growth.measure(arguments.sizes, SHIPPED)
        if arguments.format == "text":
            print("\n".join(growth.table(grown)))
    if arguments.step == "all":
        write_readme(about, rows, grown)
    if arguments.format == "json":
        found = [{**asdict(row), "reached": row.reached} for row in rows]
        about |= {"comparisons": found, "growth": [asdict(row) for row in grown]}
        print(json.dumps(about, indent=1))
    return 0


if __name__ == "__main__":
    run_main(main)
