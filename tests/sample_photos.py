"""Photos of any number, made of the samples that come with the project."""

from pathlib import Path

from PIL import Image, ImageOps

from tests.conftest import ROOT


def make_photos(folder: Path, count: int) -> list[Path]:
    """Real photos, no two alike: the samples, and parts of them."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = sorted((ROOT / "samples").glob("*.jpg"))
    made = []
    for number in range(count):
        image = Image.open(samples[number % len(samples)]).convert("RGB")
        cut = number // len(samples)
        width, height = image.size
        image = image.crop((cut * 8, cut * 5, width - cut * 3, height - cut * 7))
        image.thumbnail((320, 320))
        if cut % 2:
            image = ImageOps.mirror(image)
        path = folder / f"photo {number:03}.jpg"
        image.save(path)
        made.append(path)
    return made
