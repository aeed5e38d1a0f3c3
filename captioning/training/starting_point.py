"""What a training starts from: trained models that it continues or learns from."""

from collections.abc import Sequence
from dataclasses import dataclass

from captioning.data.prepared import Prepared
from captioning.errors import CaptioningError, command_line
from captioning.inference.trained_model import TrainedModel


@dataclass(frozen=True)
class StartingPoint:
    """The trained models that a training starts from; none by default.

    initial: the model to train further, instead of a new one; fine-tuning needs one; teachers:
    the models of a distillation; fine-tuning has none.
    """

    initial: TrainedModel | None = None
    teachers: Sequence[TrainedModel] = ()

    @property
    def models(self) -> list[TrainedModel]:
        """The initial model, if there is one, and the teachers."""
        return [*([self.initial] if self.initial else []), *self.teachers]

    def check(self, prepared: Prepared, decoder: str) -> None:
        """Raise `CaptioningError` when a model doesn't fit the data or the decoder."""
        for trained in self.models:
            expected = [
                ("vocabulary", trained.tokenizer.words, prepared.tokenizer.words),
                *(
                    (key, value, prepared.features.made_by.get(key))
                    for key, value in trained.encoder.items()
                ),
            ]
            # Teachers may be another decoder: only their outputs are used.
            if trained is self.initial:
                expected.insert(0, ("decoder", trained.model.name, decoder))
            for what, theirs, ours in expected:
                if theirs != ours:
                    # Two vocabularies would fill the screen.
                    values = f": {theirs!r} there, {ours!r} here" if what != "vocabulary" else ""
                    raise CaptioningError(
                        f"{trained.folder} has another {what} than this training{values}; "
                        f"{command_line('features')} --like {trained.folder} prepares data that "
                        "fit this model"
                    )


NEW_MODEL = StartingPoint()
"""A new model, without teachers."""
