"""One photo from the shell to its caption, against a program that only imports and loads."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.comparison import Comparison, alternate

ROOT = Path(__file__).parent.parent


def compare_start(photo: Path, folder: Path, weights: str, rounds: int = 5) -> Iterator[Comparison]:
    """The caption of a photo, and --help, each in a process of its own; rates are runs per second.

    folder: the model's. The other way imports Keras, and for the caption loads encoder and model.
    """
    bare = (
        "import keras; keras.applications.Xception(include_top=False, input_shape=(299, 299, 3), "
        f"weights={weights!r}); keras.models.load_model({str(folder / 'model.keras')!r}, "
        "compile=False)"
    )
    caption = ["caption_generator.py", "-i", photo, "--model", folder, "--weights", weights]

    def run(*arguments: object) -> Callable[[], int]:
        def work() -> int:
            subprocess.run(
                [sys.executable, *map(str, arguments)], cwd=ROOT, check=True, capture_output=True
            )
            return 1

        return work

    for name, first, second, target in (
        ("one photo from the shell, against loading alone", run("-c", bare), run(*caption), 1.3),
        (
            "--help, against the bare import",
            run("-c", "import keras"),
            run("caption_generator.py", "--help"),
            0.5,
        ),
    ):
        yield Comparison.slower(name, "s", alternate(first, second, rounds), target)
