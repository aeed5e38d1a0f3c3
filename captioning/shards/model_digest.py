"""Which model it is: a digest of the files that its results depend on."""

from hashlib import sha256
from pathlib import Path

from captioning.errors import CaptioningError
from captioning.vision.stamps import digest_of_file

_ENDINGS = (".json", ".onnx", ".keras", ".npz")
_NOT_THE_MODEL = ("scores.json",)


def digest_of_model(folder: str) -> str:
    """SHA-256, in hexadecimal, of a model's files. Raises `CaptioningError` without them."""
    try:
        own = sorted(
            path
            for path in Path(folder).iterdir()
            if path.suffix in _ENDINGS and path.name not in _NOT_THE_MODEL
        )
        named = "".join(f"{path.name} {digest_of_file(path)}\n" for path in own)
    except OSError as error:
        raise CaptioningError(f"cannot read the model {folder}: {error.strerror}") from None
    return sha256(named.encode()).hexdigest()


def check_models(folders: tuple[str, ...], digests: tuple[str, ...]) -> None:
    """Raise `CaptioningError` if a model here isn't the one that the run began with."""
    for folder, digest in zip(folders, digests, strict=True):
        if digest_of_model(folder) != digest:
            raise CaptioningError(
                f"the model in {folder} isn't the one that this run began with; put the same on "
                "each machine"
            )
