"""Rendered scenes with captions, written in Flickr8k's own layout.

A small stand-in for Flickr8k that needs no download: every stage of the project runs on it
unchanged.
"""

from pathlib import Path

import numpy as np

from captioning.scenes.captions import scene_captions
from captioning.scenes.drawing import draw_scene
from captioning.scenes.world import Scene, random_scene

JPEG_QUALITY = 90
"""Of the written photos; the encoder is trained on scenes compressed so, too."""


def write_scenes(folder: Path, train: int, dev: int, test: int, seed: int) -> dict[str, Scene]:
    """Write scenes in Flickr8k's own layout and give {file name: scene}.

    Photos go to `Flicker8k_Dataset/`, captions and the three splits to `Flickr_8k_text/`. The
    same numbers and seed give the same scenes and captions. Raises ValueError for a negative
    count, OSError where nothing can be written.
    """
    if min(train, dev, test) < 0:
        raise ValueError(f"counts of scenes must not be negative: {train}, {dev}, {test}")
    photos, text = Path(folder) / "Flicker8k_Dataset", Path(folder) / "Flickr_8k_text"
    photos.mkdir(parents=True, exist_ok=True)
    text.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    scenes: dict[str, Scene] = {}
    rows: list[str] = []
    for number in range(train + dev + test):
        name = f"scene-{number:05d}.jpg"
        scenes[name] = scene = random_scene(generator)
        draw_scene(scene, generator).save(photos / name, quality=JPEG_QUALITY)
        captions = scene_captions(scene, generator)
        rows += [f"{name}#{place}\t{caption}\n" for place, caption in enumerate(captions)]
    (text / "Flickr8k.token.txt").write_text("".join(rows), encoding="utf-8")
    names = list(scenes)
    splits = {"train": names[:train], "dev": names[train : train + dev]}
    splits["test"] = names[train + dev :]
    for split, members in splits.items():
        content = "".join(f"{name}\n" for name in members)
        (text / f"Flickr_8k.{split}Images.txt").write_text(content, encoding="utf-8")
    return scenes
