"""Caption photos."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captioning.commands.caption_options import (
    PHOTO_FILES,
    check_arguments,
    check_pictures,
    parse_arguments,
)
from captioning.commands.caption_outputs import open_outputs, places
from captioning.commands.options import check_decoding, decoding_of, refuse
from captioning.commands.other_model import load_model, read_about
from captioning.commands.shards import wants_shards
from captioning.decoders.kinds import READ_GRIDS
from captioning.errors import CaptioningError, command_line, shown
from captioning.output.tally import Tally

if TYPE_CHECKING:
    from captioning.data.photos import Found
    from captioning.inference.captioner import Caption, Captioner
    from captioning.output.interfaces import Output
    from captioning.output.wording import Wording

MOST_AT_ONCE = 8
"""Groups of photos that are captioned side by side at most; each takes some 100 MB."""

AFTER_STOP = "with -o, the captions so far are saved: the same command with --resume continues"


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> int:
    """Caption photos; 0 if all were, 1 if some of several could not be, 2 if the only one."""
    if wants_shards(arguments):  # with options of its own
        from captioning.commands import caption_shards

        return caption_shards.main(arguments, program)
    options = parse_arguments(arguments, program)
    # NumPy multiplies little here, and its threads take a tenth of a second to start.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    check_arguments(options)
    # All checks come before the model is loaded: a wrong path is reported at once.
    settle_model(options)
    from captioning.data.photos import describe_missing, photos_of

    found = photos_of(options.image, options.recursive)
    photos = found.photos
    # A folder counts as several, however many photos are in it: its output has names.
    several = len(photos) > 1 or any(path.is_dir() for path in options.image)
    if not several and not photos[0].exists():
        raise CaptioningError(describe_missing(photos[0]))
    check_pictures(options, several)
    with ExitStack() as stack:
        files, outputs = open_outputs(options, photos, several, stack)
        # With --existing skip, a photo that has its captions gets no row either.
        keeps = options.existing == "skip"
        had = {p for p in photos if keeps and all(file.has(p) for file in files)}
        # Skipping what all outputs have: a run may have been stopped between two of them.
        remaining = [
            p for p in photos if p not in had and not all(output.has(p) for output in outputs)
        ]
        done = len(photos) - len(had) - len(remaining)
        if options.resume:
            print(f"{done:,} of {len(photos):,} photos are done already", file=sys.stderr)
        report_left_out(found)
        tally = Tally(had=len(had), done=done, failed=len(found.unreadable))
        if remaining:
            caption_all(remaining, outputs, options, tally)
        # Also if nothing remained: the earlier run may have been stopped before it marked.
        for output in () if options.dry_run else outputs:
            output.finish()
    report_end(tally, options, several)
    if tally.failed and not several:
        return 2
    return 1 if tally.failed else 0


def report_end(tally: Tally, options: argparse.Namespace, several: bool) -> None:
    """Say on standard error what became of the photos; of a single one only what isn't seen."""
    if tally.cut:
        print(
            f"note: {tally.cut:,} of the captions had to be cut at a word, as the beam found none "
            f"of {options.max_characters:,} characters; a wider --beam may find shorter ones",
            file=sys.stderr,
        )
    written = places(options)
    if several or (written and not tally.failed):
        print(tally.line(written, options.dry_run), file=sys.stderr)


def report_left_out(found: "Found") -> None:
    """Say on standard error which of the given folders hold no photo, and which can't be read."""
    from captioning.data.photos import describe_empty

    lines = [f"note: {describe_empty(folder)}" for folder in found.empty]
    lines += [f"skipped the folder {path}: {why}" for path, why in found.unreadable.items()]
    for line in lines:
        print(shown(line), file=sys.stderr)


def settle_model(options: argparse.Namespace) -> None:
    """Choose the model if none was named, and the beam if what was asked for needs one.

    Raises `CaptioningError` for what the models' descriptions rule out.
    """
    from captioning.data.text import Tokenizer
    from captioning.inference.description import read_encoders
    from captioning.inference.familiarity import FAMILIARITY
    from captioning.inference.models import choose_model, models_folder, shipped_folder
    from captioning.inference.settings import banned_tokens
    from captioning.vision.encoders import check_encoder, weights_for

    if options.model is None:
        options.model = [choose_model(models_folder(), shipped_folder())]
        print(f"model: {options.model[0]}", file=sys.stderr)
    about = read_about(options)
    encoders = [about["encoder"]] if options.tokenizer else read_encoders(options.model)
    for encoder in encoders:
        name = encoder["name"]
        check_encoder(name, weights_for(name, options.weights, len(encoders) == 1))
    tokenizer = Tokenizer(tuple(about["words"]), about["cleaning"])
    banned_tokens(options.ban.split(","), tokenizer)  # raises now, not later
    own_beam = about["decoding"].get("beam", 1)
    # A beam has no more hypotheses than it is wide. (A narrower --beam was refused already.)
    if options.top > (options.beam or own_beam):
        options.beam = max(5, options.top)
    if (options.max_words or options.max_characters) and options.beam is None and own_beam == 1:
        # A beam prefers captions that end within the limit; greedy search would cut them off.
        options.beam = 5
    check_decoding(options, own_beam)
    shows = "--explain" if options.explain else "--attention"
    picture = options.attention or options.explain
    refuse(
        (
            picture and len(options.model) > 1,
            f"{shows} shows what one decoder attends to; give one --model",
        ),
        (
            picture and options.neutral,
            f"{shows} shows the model's own words, --neutral changes them; give one of the two",
        ),
        (
            picture and options.max_characters,
            f"{shows} shows the likeliest caption, --max-characters may choose another; give "
            "one of the two",
        ),
        (
            options.decorative is not None and not (Path(options.model[0]) / FAMILIARITY).is_file(),
            f"--decorative asks how familiar photos are, which {options.model[0]} doesn't tell: "
            f"it has no {FAMILIARITY}, as older models; train it again with: "
            f"{command_line('train')}",
        ),
        (
            options.attention and about["decoder"] not in READ_GRIDS,
            f"the {about['decoder']} decoder of {options.model[0]} has no attention: it reads a "
            "photo as one vector; --attention wants one with an attention or transformer decoder",
        ),
    )


def caption_all(
    photos: list[Path], outputs: "list[Output]", options: argparse.Namespace, tally: Tally
) -> None:
    """Caption the photos into the outputs, with a bar on a terminal, and count them."""
    from captioning.files.onnx_session import use_threads
    from captioning.inference.settings import WIDEST_BEAM
    from captioning.output.standard_output import write_beside_bar

    groups = groups_at_once(len(photos))
    use_threads(1 if groups > 1 else 0)
    captioner = load_model(options)
    captions = captioner.caption(
        photos,
        WIDEST_BEAM,  # all that the beam finds, for `Wording` to choose from
        options.max_pixels,
        groups,
        **wished(options),
    )
    wording = wording_of(options)
    shares: list[float | None] = []  # of each photo that has a caption now, `Caption.familiar`
    # disable=None: a bar only on a terminal. A single photo is done before one would show.
    if len(photos) > 1:
        from tqdm import tqdm

        captions = tqdm(captions, total=len(photos), unit=" photos", disable=None)
    for found in captions:
        caption, was_cut = wording.apply(found, options.top)
        error = caption.error or write_caption(caption, outputs, options.dry_run)
        if error:
            tally.failed += 1
            write_beside_bar(shown(f"skipped {caption.image}: {error}") + "\n", sys.stderr)
            continue
        if wording.is_decorative(caption):
            tally.decorative += 1
            continue
        tally.captioned += 1
        tally.cut += was_cut
        shares.append(caption.familiar)
        draw_pictures(captioner, caption.image, found.caption, options)
    if options.format in ("text", *PHOTO_FILES):  # the other formats hold each photo's share
        warn_of_unfamiliar(shares)


def groups_at_once(photos: int) -> int:
    """How many groups of photos to caption side by side: one a processor, but no more than are."""
    from captioning.files.onnx_session import processors
    from captioning.inference.captioner import PHOTOS_AT_ONCE

    return min(processors(), MOST_AT_ONCE, ceil(photos / PHOTOS_AT_ONCE))


def wording_of(options: argparse.Namespace) -> "Wording":
    """What the options ask of a caption's text."""
    from captioning.output.wording import Wording

    return Wording(
        neutral=options.neutral,
        sentence=options.sentence,
        max_characters=options.max_characters,
        template=options.template,
        decorative=options.decorative,
    )


def warn_of_unfamiliar(shares: Sequence[float | None]) -> None:
    """Say on standard error how many photos are unlike those that the model learned from.

    shares: `Caption.familiar` of all captioned photos. Nothing is said where none is unlike them.
    """
    from captioning.inference.familiarity import is_unfamiliar

    unlike = sum(map(is_unfamiliar, shares))
    if unlike and len(shares) == 1:
        print(
            "note: this photo is unlike those that the model learned from "
            f"(familiar {shares[0]:.1%}); don't rely on the caption",
            file=sys.stderr,
        )
    elif unlike:
        print(
            f"note: {unlike:,} of {len(shares):,} photos are unlike those that the model learned "
            "from; don't rely on their captions; --format csv names them",
            file=sys.stderr,
        )


def write_caption(caption: "Caption", outputs: "list[Output]", dry_run: bool = False) -> str | None:
    """Write a caption to every output that lacks it; why one of them can't have it, or None.

    dry_run: print what would be written instead.
    """
    from captioning.output.standard_output import write_beside_bar
    from captioning.output.targets import UnwritableError

    error = None
    for output in outputs:
        if not output.has(caption.image):
            try:
                if dry_run:
                    write_beside_bar(output.preview(caption), sys.stdout)
                else:
                    output.write(caption)
            except UnwritableError as reason:
                error = f"not written, {reason}"
    return error


def wished(options: argparse.Namespace) -> dict[str, Any]:
    """How to decode, as `CaptionDecoder.settings` takes it."""
    return decoding_of(options) | {
        "max_words": options.max_words,
        "ban": options.ban.split(","),
    }


def draw_pictures(
    captioner: "Captioner", photo: Path, caption: str, options: argparse.Namespace
) -> None:
    """Write the picture of --attention and the page of --explain."""
    if options.attention:
        from captioning.pictures.attention_figure import draw_attention
        from captioning.pictures.figures import save_figure

        figure = draw_attention(captioner, photo, caption, options.max_pixels)
        save_figure(figure, options.attention)
    if options.explain:
        from captioning.pictures.explanation import explain
        from captioning.pictures.explanation_page import write_explanation

        settings = captioner.decoder.settings(**wished(options))
        explanation = explain(captioner, photo, settings, options.max_pixels)
        shown_as = captioner.trained_model.tokenizer.shown
        write_explanation(explanation, shown_as, options.explain)
