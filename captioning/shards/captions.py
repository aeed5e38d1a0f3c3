"""Captions of photos, as rows: what workers make for `caption --shards`."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from captioning.inference.settings import WIDEST_BEAM
from captioning.output.wording import Wording
from captioning.shards.model_digest import check_models
from captioning.shards.work import Made
from captioning.vision.images import MAX_PIXELS
from captioning.vision.packed import Photo


@dataclass(frozen=True)
class CaptionTask:
    """A `Task`: the captions of these models.

    models: folders; digests: of each, as `digest_of_model`; decoding: (name, value) of
    `CaptionDecoder.settings`; wording: what becomes of the words; top: so many captions a row;
    runtime, weights: as in `loading.load`.
    """

    models: tuple[str, ...]
    digests: tuple[str, ...]
    decoding: tuple[tuple[str, Any], ...] = ()
    wording: Wording = Wording()
    top: int = 1
    max_pixels: int = MAX_PIXELS
    weights: str = "imagenet"
    runtime: str | None = None

    def settings(self) -> dict[str, Any]:
        """All that the captions depend on. Where the model is doesn't matter."""
        # What isn't asked for is left out: more can be asked for in later versions.
        asked = {k: v for k, v in asdict(self.wording).items() if v != getattr(Wording(), k)}
        return {
            "task": "caption",
            "model": list(self.digests),
            "decoding": {k: list(v) if isinstance(v, tuple) else v for k, v in self.decoding},
            "neutral": self.wording.neutral,
            **asked,
            **({"top": self.top} if self.top > 1 else {}),
            "max_pixels": self.max_pixels,
            "weights": self.weights,
            "runtime": self.runtime,
        }

    @property
    def columns(self) -> tuple[str, ...]:
        """The names in a row."""
        several = ["captions"] if self.top > 1 else []
        return ("key", "caption", "score", "familiar", *several, "error")

    def load(self) -> "CaptionMaker":
        """Load the models, computing with one thread."""
        from captioning.files.onnx_session import use_threads
        from captioning.inference.loading import load

        check_models(self.models, self.digests)
        use_threads(1)
        return CaptionMaker(self, load(*self.models, weights=self.weights, runtime=self.runtime))


class CaptionMaker:
    """A `Maker` of captions. captioner: a `Captioner`."""

    def __init__(self, task: CaptionTask, captioner: Any) -> None:
        self._task, self._captioner = task, captioner
        # The same bits each time, however many photos came before: see `Encoder`.
        for one in captioner.encoders:
            one.encoder.compiled = True

    def make(self, keys: list[str], photos: list[Photo]) -> Made:
        """A row a photo: key, caption, score and familiar (null where unknown), error."""
        captions = self._captioner.caption(
            photos,
            WIDEST_BEAM,  # all that the beam finds, for `Wording` to choose from
            self._task.max_pixels,
            **dict(self._task.decoding),
        )
        return [self._row(key, caption) for key, caption in zip(keys, captions, strict=True)], {}

    def _row(self, key: str, found: Any) -> dict[str, Any]:
        caption, _ = self._task.wording.apply(found, self._task.top)
        has_score = caption.error is None and not math.isnan(caption.score)
        row = {
            "key": key,
            "caption": None if caption.error else caption.caption,
            "score": round(caption.score, 4) if has_score else None,
            "familiar": None if caption.familiar is None else round(caption.familiar, 3),
            "captions": None
            if caption.error
            else [{"caption": text, "score": round(score, 4)} for text, score in caption.best],
            "error": caption.error,
        }
        return {name: row[name] for name in self._task.columns}
