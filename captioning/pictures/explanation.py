"""Why a photo got this caption: its words, what else they could have been, where it looked."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from captioning.data.text import START
from captioning.inference.beam_tree import BeamRecord, Branch
from captioning.inference.caption_decoder import WordChoice
from captioning.inference.captioner import Captioner
from captioning.inference.settings import DecodingSettings
from captioning.vision.images import MAX_PIXELS, open_image, to_array

LIKELIEST = 5
"""So many words are shown for each place."""

WIDEST_TREE = 8
"""So many hypotheses of each step are in the tree: more is unreadable."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """All that is known of how one caption came about.

    best: (caption, mean log-probability a word) of the finished captions, the best first, which is
    the one that `words` explain; tree: what the beam kept, None of greedy search; familiar: as in
    `Caption`.
    """

    photo: Path
    image: Image.Image
    model: str
    settings: DecodingSettings
    best: list[tuple[str, float]]
    words: list[WordChoice]
    tree: Branch | None
    familiar: float | None

    @property
    def caption(self) -> str:
        """The caption that is explained."""
        return self.best[0][0]


def explain(
    captioner: Captioner, photo: Path, settings: DecodingSettings, max_pixels: int = MAX_PIXELS
) -> Explanation:
    """Caption a photo and keep how. Raises `UnreadableImageError` for what is no photo."""
    decoder, model = captioner.decoder, captioner.trained_model
    image = open_image(photo, max_pixels)
    pixels = to_array(image, model.encoder["size"])[None]  # (1, size, size, 3)
    vectors, grids = captioner.encode(pixels, settings.views or None)
    record = BeamRecord()
    (found,) = decoder.decode_with(settings, vectors, grids, record.watch)
    best = [(decoder.text(hypothesis), hypothesis.score) for hypothesis in found]
    grid = None if grids is None else grids[0]
    is_beam = settings.beam > 1 or settings.no_repeat > 0
    return Explanation(
        photo,
        image,
        model.folder.name,
        settings,
        best,
        decoder.word_choices(vectors[0], grid, best[0][0], LIKELIEST),
        record.tree(START, found, WIDEST_TREE) if is_beam else None,
        captioner.familiar(vectors)[0],
    )
