"""Write docs/leaderboard.md: published scores on Flickr8k, and those of the models that come along.

    python docs/leaderboard.py

Published ones are in captioning/evaluation/published.py, each with its source; a model's own are
in its `scores.json`, which `evaluate.py` wrote.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from captioning.evaluation.published import PUBLISHED, Published

PAGE = ROOT / "docs" / "leaderboard.md"
SCORES = ("BLEU-1", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr")

INTRODUCTION = """# Leaderboard: Flickr8k

Scores of captions of Flickr8k's official test split, 1,000 photos with five references each, and of
our models on dev, whose photos are as many and of the same kind. Read across tables with care: dev
chose our models' epochs and decoders, and most papers don't say how they count words. Ours are
words only, in lower case, without markers, by pycocoevalcap's scorers; how each came about stands
beside it as a signature. A dash: not reported.

Written by `python docs/leaderboard.py`; a figure and its source are added in
`captioning/evaluation/published.py`.
"""

TEST = """## Ours on test

| model | encoder | frozen | BLEU-4 | ROUGE-L | CIDEr |
|---|---|---|---|---|---|
| `models/flickr8k-xception`, November 2026, beam 8, power 1.0, four views | Xception | yes | 25.1 | 49.5 | 65.8 |
| one person's caption against the other four | – | – | 21.4 | 49.5 | 82.1 |

The test photos were held back from the project: no choice was made on them, and they were scored
once, with the weights of that day, by
`python evaluate.py --model models/flickr8k-xception --images DIR --text Flickr_8k_text --split test --views 4`.
"""  # noqa: E501

NOT_COMPARABLE = """## What doesn't compare

- **Trained on Flickr30k.** It holds 94% of Flickr8k's dev and test photos (940 of the 1,000 of dev
  are in its usual train split, under their ids): a model that learned from it has seen them, and
  its scores on Flickr8k say nothing about new photos. No such figure is listed above.
  That includes encoders and language models that were pretrained on image-caption pairs with
  Flickr30k among them.
- **Trained on COCO** or on millions of pairs from the web: other photos, but many times the
  captions. A fair comparison is with what learned from Flickr8k's 6,000 training photos alone.
- **The end marker counted as a word:** worth about a point of BLEU-4, and four of BLEU-1.
- **Rewarded without the end of the caption** in self-critical fine-tuning
  ([SacreEOS](https://arxiv.org/abs/2305.12254)): up to four points of CIDEr on captions that stop
  in mid-sentence. Ours count it; the signature says `reward:cider-d+end`.
- **Other scorers:** characters instead of words (a BLEU-4 of 57 in one repository), one reference
  instead of five, a METEOR that is not version 1.5.
"""


def page() -> str:
    """The page in Markdown."""
    comparable = [one for one in PUBLISHED if not one.caveat]
    others = [one for one in PUBLISHED if one.caveat]
    # The highest CIDEr first, then those without one by BLEU.
    comparable.sort(key=lambda one: (-one.scores.get("CIDEr", 0), -one.scores["BLEU-1"]))
    parts = [
        INTRODUCTION,
        "## Published, on test\n",
        published_table(comparable),
        "\n## Published, with a caveat\n",
        published_table(others),
        "\n" + TEST,
        "## Ours on dev\n",
        own_table(),
        "\n" + NOT_COMPARABLE,
    ]
    return "\n".join(parts)


def published_table(rows: list[Published]) -> str:
    """Published scores as a Markdown table."""
    has_caveats = any(one.caveat for one in rows)
    head = ["model", "encoder", "frozen", *SCORES, "read in", *(["caveat"] if has_caveats else [])]
    lines = [row_of(head), row_of(["---"] * len(head))]
    for one in rows:
        frozen = {True: "yes", False: "no, fine-tuned", None: "–"}[one.frozen]
        cells = [f"{one.name}: [{one.source}]({one.link})", one.encoder, frozen]
        cells += [shown(one.scores.get(score)) for score in SCORES]
        cells += [one.found or "the paper"] + ([one.caveat] if has_caveats else [])
        lines.append(row_of(cells))
    return "\n".join(lines)


def own_table() -> str:
    """The scores of the models that come with the project, as `scores.json` has them."""
    head = ["model", "frozen", *SCORES, "decoder", "signature"]
    lines = [row_of(head), row_of(["---"] * len(head))]
    found = []
    for path in ROOT.glob("models/flickr8k*/scores.json"):
        found.append((path.parent.name, json.loads(path.read_text(encoding="utf-8"))))
    found.sort(key=lambda item: -item[1]["scores"]["CIDEr"]["value"])
    for name, summary in found:
        values = [summary["scores"].get(score) for score in SCORES]
        signature = summary.get("signature", "").replace("|", " ")
        own_encoder = (ROOT / "models" / name / "encoder.npz").is_file()
        frozen = "no, fine-tuned" if own_encoder else "yes"
        cells = [f"[{name}](../models/{name}/README.md)", frozen]
        cells += [shown(value and value["value"]) for value in values]
        cells += [summary["decoder"], f"`{signature}`" if signature else "–"]
        lines.append(row_of(cells))
    commands = "\n".join(f"python evaluate.py --model models/{name}" for name, _ in found)
    return "\n".join(lines) + f"\n\n```sh\n{commands}\n```"


def row_of(cells: list[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def shown(value: float | None) -> str:
    """A score with one decimal, or a dash."""
    return "–" if value is None else f"{value:.1f}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
