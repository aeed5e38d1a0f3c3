"""Where models are: those that come with the project, and those trained here."""

from pathlib import Path

from captioning.errors import CaptioningError, command_line
from captioning.inference.description import DESCRIPTION, read_description

SHIPPED = ("flickr8k", "flickr8k-tuned", "flickr8k-xception", "flickr8k-merge")
"""Models that come with the project, the first preferred."""

DEMO = "demo"
"""The folder of the demo's model."""

_PACKAGE = Path(__file__).parent.parent
_CHECKOUT = _PACKAGE.parent / "models"


def models_folder() -> Path:
    """Where trained models go: a checkout's `models`, otherwise `models` in the current folder."""
    return _CHECKOUT if (_CHECKOUT / "README.md").is_file() else Path("models")


def shipped_folder() -> Path:
    """Where the shipped models are: in the checkout, or inside the installed package."""
    installed = _PACKAGE / "models"
    return installed if installed.is_dir() else _CHECKOUT


def samples_folder() -> Path:
    """Where the sample photos are: in the checkout, or inside the installed package."""
    installed = _PACKAGE / "samples"
    return installed if installed.is_dir() else _PACKAGE.parent / "samples"


def find_model(given: Path) -> Path:
    """The given folder if it exists, otherwise the shipped model of that name ("flickr8k").

    Where neither exists, the given folder: reading it says what is missing.
    """
    given = Path(given)
    shipped = shipped_folder() / given.name
    if not given.exists() and given.name in SHIPPED and shipped.is_dir():
        return shipped
    return given


def choose_model(models: Path, shipped: Path) -> Path:
    """The folder of the model trained last in `models`, otherwise of a shipped one.

    models, shipped: the folders of `models_folder` and `shipped_folder`. The demo's model, which
    knows only rendered scenes, is the last resort. Raises `CaptioningError` when there is none, and
    for a broken description in `models`.
    """
    trained: list[tuple[str, Path]] = []  # times in ISO 8601, which sort as text
    for description in models.glob(f"*/{DESCRIPTION}"):
        folder = description.parent
        if folder.name not in (*SHIPPED, DEMO):
            trained.append((read_description(folder)["trained_at"], folder))
    if trained:
        return max(trained)[1]
    candidates = [folder / name for name in SHIPPED for folder in (models, shipped)]
    for folder in (*candidates, models / DEMO):
        if (folder / DESCRIPTION).is_file():
            return folder
    raise CaptioningError(
        f"there is no trained model in {models}; train one with {command_line('train')}, make the "
        f"demo's with {command_line('demo')}, or name a model's folder with --model"
    )
