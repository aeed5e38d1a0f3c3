"""Where models lie: those that come with the project, and those trained here."""

from pathlib import Path

from captioning.errors import CaptioningError, command_line
from captioning.inference.description import DESCRIPTION, read_description

SHIPPED = ("flickr8k", "flickr8k-merge")
"""Models that come with the project, the first preferred."""

DEMO = "demo"

_PACKAGE = Path(__file__).parent.parent
_CHECKOUT = _PACKAGE.parent / "models"


def models_folder() -> Path:
    """Where models are trained into: a checkout's `models`, or `models` where the user stands."""
    return _CHECKOUT if (_CHECKOUT / "README.md").is_file() else Path("models")


def shipped_folder() -> Path:
    """Where the shipped models lie: in the checkout, or inside of the installed package."""
    installed = _PACKAGE / "models"
    return installed if installed.is_dir() else _CHECKOUT


def find_model(given: Path) -> Path:
    """The folder that is there, or else the shipped model of that name ("flickr8k")."""
    given = Path(given)
    shipped = shipped_folder() / given.name
    if not given.exists() and given.name in SHIPPED and shipped.is_dir():
        return shipped
    return given


def choose_model(models: Path, shipped: Path) -> Path:
    """The folder of the model trained last in `models`, otherwise of one that came along.

    models, shipped: the folders of `models_folder` and `shipped_folder`. The demo's model, which
    knows only rendered scenes, is the last resort. Raises `CaptioningError` when there is none.
    """
    trained = []
    for description in models.glob(f"*/{DESCRIPTION}"):
        folder = description.parent
        if folder.name not in (*SHIPPED, DEMO):
            trained.append((read_description(folder)["trained_at"], folder))
    if trained:
        return max(trained)[1]
    there = [folder / name for name in SHIPPED for folder in (models, shipped)]
    for folder in (*there, models / DEMO):
        if (folder / DESCRIPTION).is_file():
            return folder
    raise CaptioningError(
        f"there is no trained model in {models}; train one with {command_line('train')}, make the "
        f"demo's with {command_line('demo')}, or name a model's folder with --model"
    )
