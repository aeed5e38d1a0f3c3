"""Photos of a folder as pictures inside a page."""

from pathlib import Path

from PIL import Image

from captioning.vision.images import UnreadableImageError, as_data, open_image


class Album:
    """Photos of a folder, scaled down; remembers which were missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = Path(folder)
        self.missing: set[str] = set()

    def open(self, name: str, longest: int) -> Image.Image | None:
        """The photo, its longer side at most `longest` pixels; None where it can't be read."""
        try:
            photo = open_image(self._folder / name)
        except UnreadableImageError:
            self.missing.add(name)
            return None
        photo.thumbnail((longest, longest))
        return photo

    def data(self, name: str, longest: int) -> str | None:
        """The photo of `open` as a `data:` URL."""
        photo = self.open(name, longest)
        return as_data(photo) if photo else None
