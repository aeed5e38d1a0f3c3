"""Score a model's captions of a split against its references, on words only."""

import argparse
import json
import sys
import time
from pathlib import Path

from captioning.errors import CaptioningError, import_keras, run_script


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--model", type=Path, required=True, help="the model's folder")
    add("--data", type=Path, default="models", help="the folder that features.py wrote")
    add("--split", default="dev", help="train, dev or test")
    add("--beam", type=int, default=1, metavar="K", help="width of the beam; 1 is greedy")
    add("--length-penalty", type=float, metavar="A",
        help="rank by log-probability / length**A (default: the model's own)")
    add("--format", choices=["text", "json"], default="text", help="how to print the scores")
    return parser.parse_args()


def main() -> int:
    """Caption, score, print, and keep scores and captions in the model's folder."""
    arguments = parse_arguments()
    if arguments.beam < 1:
        raise CaptioningError(f"--beam {arguments.beam} is not at least 1")
    from captioning.bundle import read_about
    from captioning.prepare import read_prepared

    read_about(arguments.model)
    prepared = read_prepared(arguments.data)
    import_keras()
    from captioning.captioner import load
    from captioning.files import write_json, write_text
    from captioning.pipeline import score_split
    from captioning.scoring import TOKENISATION

    captioner = load(arguments.model)
    power = arguments.length_penalty
    if power is None:
        power = captioner.bundle.decoding["length_power"]
    began = time.perf_counter()
    scores, captions = score_split(
        captioner, prepared, arguments.split, beam=arguments.beam, length_power=power
    )
    about = {
        "split": arguments.split,
        "photos": len(captions),
        "decoder": "greedy" if arguments.beam == 1 else f"beam {arguments.beam}, power {power}",
        "tokenisation": TOKENISATION,
        "scores": {name: round(value, 2) for name, value in scores.corpus.items()},
    }
    write_json(arguments.model / "scores.json", about)
    rows = [
        {"photo": name, "caption": caption, "references": prepared.captions[name],
         "CIDEr": round(scores.cider[name], 1)}
        for name, caption in captions.items()
    ]
    write_text(
        arguments.model / "predictions.jsonl",
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows),
    )
    if arguments.format == "json":
        print(json.dumps(about))
    else:
        print(f"{about['split']}, {about['photos']:,} photos, {about['decoder']}, {TOKENISATION}")
        print(scores.line())
    print(f"{time.perf_counter() - began:.1f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    run_script(main)
