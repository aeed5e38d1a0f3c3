"""What a training starts from: trained models that it continues or learns from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captioning.data.prepared import Prepared
from captioning.errors import CaptioningError, command_line
from captioning.inference.trained_model import TrainedModel
from captioning.vision.features import Features


@dataclass(frozen=True)
class StartingPoint:
    """The trained models that a training starts from; none by default.

    initial: the model to train further, instead of a new one; fine-tuning needs one; teachers:
    the models of a distillation; fine-tuning has none; teacher_features: of the training photos,
    by encoders that teachers read and the trained model doesn't; own_weights: the file of the
    encoder's weights, where it was fine-tuned.
    """

    initial: TrainedModel | None = None
    teachers: Sequence[TrainedModel] = ()
    teacher_features: Sequence[Features] = ()
    own_weights: Path | None = None

    @property
    def models(self) -> list[TrainedModel]:
        """The initial model, if there is one, and the teachers."""
        return [*([self.initial] if self.initial else []), *self.teachers]

    def check(self, prepared: Prepared, decoder: str) -> None:
        """Raise `CaptioningError` when a model doesn't fit the data or the decoder."""
        for trained in self.models:
            expected: list[tuple[str, Any, Any]] = [
                ("vocabulary", trained.tokenizer.words, prepared.tokenizer.words)
            ]
            # Teachers may be another decoder with another encoder: only their outputs are used.
            if trained is self.initial:
                expected.insert(0, ("decoder", trained.model.name, decoder))
                made_by = prepared.features.made_by
                expected += [(k, v, made_by.get(k)) for k, v in trained.encoder.items()]
            for what, theirs, ours in expected:
                if theirs != ours:
                    # Two vocabularies would fill the screen.
                    values = f": {theirs!r} there, {ours!r} here" if what != "vocabulary" else ""
                    raise CaptioningError(
                        f"{trained.folder} has another {what} than this training{values}; "
                        f"{command_line('features')} --like {trained.folder} prepares data that "
                        "fit this model"
                    )
        for teacher in self.teachers:
            self.features_for(teacher, prepared)

    def features_for(self, teacher: TrainedModel, prepared: Prepared) -> Features:
        """What the teacher reads of the photos: the features that its own encoder made.

        Raises `CaptioningError` when neither the data nor `teacher_features` are of its encoder.
        """
        for features in (prepared.features, *self.teacher_features):
            if _fits(teacher.encoder, features.made_by):
                return features
        name = teacher.encoder["name"]
        raise CaptioningError(
            f"the teacher {teacher.folder} reads what the encoder {name} gives (weights "
            f"{teacher.encoder['weights']}), and the data are of "
            f"{prepared.features.made_by.get('name')}; {command_line('features')} --like "
            f"{teacher.folder} --output FOLDER prepares them, --teacher-data FOLDER names them"
        )


def _fits(encoder: dict[str, Any], made_by: dict[str, Any]) -> bool:
    return all(made_by.get(key) == value for key, value in encoder.items())


NEW_MODEL = StartingPoint()
"""A new model, without teachers."""
