"""The app's captions as HTML fragments: a card per photo, and the details of one photo."""

import base64
import math
from collections.abc import Sequence

from jinja2 import Environment, StrictUndefined

from captioning.app.export import alt_text_table
from captioning.app.photos import SessionPhoto
from captioning.app.shared_captioner import SharedCaptioner
from captioning.pictures.attention_maps import overlay_attention, region_name
from captioning.vision.images import as_data

TILE = 220
"""Pixels of the longer side of the photo in a word's attention map."""

# File names and corrections come from people: everything is escaped.
_environment = Environment(
    autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_environment.filters["data"] = as_data
_environment.filters["percent"] = lambda score: f"{100 * math.exp(score):.0f}%"
_environment.filters["share"] = lambda share: f"{share:.1%}"

CARDS = _environment.from_string("""
{% if photos %}
<p><a class="export" download="captions.csv" href="{{ table }}">Export as CSV (alt texts)</a></p>
{% endif %}
<div class="cards">
{% for photo in photos %}
<figure class="card{{ " unlike" if photo.unfamiliar else "" }}">
<img src="{{ photo.picture | data }}" alt="{{ photo.caption }}">
<figcaption>
{% if photo.unfamiliar %}
<p class="mark">unlike the training photos</p>
{% endif %}
<p class="photo-caption">{{ photo.caption }}</p>
<p class="quiet">{{ photo.name }} · {{ "corrected" if photo.corrected else
"confidence " ~ photo.best[0][1] | percent }}{{ "" if photo.familiar is none else
" · familiar " ~ photo.familiar | share }}</p>
</figcaption>
</figure>
{% endfor %}
</div>
""")

DETAILS = _environment.from_string("""
<h2>{{ "The likeliest captions" if photo.best | length > 1 else "The caption" }}</h2>
<ol class="best">
{% for caption, score in photo.best %}
<li>{{ caption }} <span class="quiet">confidence {{ score | percent }}</span></li>
{% endfor %}
</ol>
<p class="quiet">Confidence is the mean probability (geometric) of the caption's words.</p>
{% if photo.familiar is not none %}
<p class="quiet">Familiar, {{ photo.familiar | share }}, is the share of the dev split's photos that
are no more like the training photos than this one.
{% if photo.unfamiliar %}
It is unlike them: don't rely on its caption, however confident it is.
{% endif %}
</p>
{% endif %}
<h2>What the decoder attends to at each word</h2>
{% if tiles %}
<ol class="tiles">
{% for word, region, picture in tiles %}
<li><figure><img src="{{ picture | data }}" alt="attends to the {{ region }}">
<figcaption>{{ word }}</figcaption></figure></li>
{% endfor %}
</ol>
{% else %}
<p>This model reads a photo as one vector: it has no attention to show.</p>
{% endif %}
""")

NOTICES = _environment.from_string("""
{% for sentence in sentences %}
<p class="note" role="alert">{{ sentence }}</p>
{% endfor %}
""")

STYLE = """
.html-container { padding: 0 !important; }
.cards { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr)); }
.card { margin: 0; border: 1px solid var(--border-color-primary); border-radius: .5rem;
  overflow: hidden; background: var(--background-fill-secondary); }
.card img { display: block; width: 100%; height: 14rem; object-fit: contain;
  background: var(--background-fill-secondary); margin: 0; }
.card figcaption { padding: .7rem 1rem; }
.card p { margin: 0; line-height: 1.4; overflow-wrap: anywhere; }
.unlike { border: 4px double #5f7fe0; }
.mark { font-weight: 600; font-size: .9rem; }
.photo-caption { font-weight: 600; font-size: 1.05rem; }
#details h2 { margin: 1.2rem 0 .4rem; font-size: 1.1rem; font-weight: 600; }
.quiet { color: var(--body-text-color-subdued); font-size: .9rem; }
.best { padding-left: 1.4rem; list-style: decimal; }
.tiles { display: grid; gap: .5rem; padding: 0; list-style: none;
  grid-template-columns: repeat(auto-fill, minmax(min(8rem, 30%), 1fr)); }
.tiles li, .tiles figure { margin: 0; }
.tiles img { display: block; width: 100%; border-radius: .3rem; margin: 0; }
.tiles figcaption { text-align: center; }
.export { display: inline-block; margin-bottom: 1rem; padding: .5rem 1rem; border-radius: .4rem;
  border: 1px solid var(--border-color-primary); }
.note { border-left: 4px solid #c4580a; padding: .3rem .8rem; margin: .3rem 0; }
"""
"""The page's style sheet. Gradio's own variables follow light and dark."""


def render_cards(photos: Sequence[SessionPhoto]) -> str:
    """All photos of a session with their captions, and the link to their table."""
    text = alt_text_table((photo.name, photo.caption) for photo in photos)
    # With a byte order mark: without it Excel doesn't read the table as UTF-8.
    encoded = base64.b64encode(text.encode("utf-8-sig")).decode("ascii")
    return CARDS.render(photos=photos, table=f"data:text/csv;base64,{encoded}")


def render_details(captioner: SharedCaptioner, photo: SessionPhoto) -> str:
    """The N best captions of a photo, and the decoder's attention map for each word."""
    # A tile per word: each is sent to the browser inside of the page, so they must be small.
    small = photo.picture.copy()
    small.thumbnail((TILE, TILE))
    tiles = [
        (word, region_name(weights), overlay_attention(small, weights))
        for word, weights in captioner.attention(photo)
    ]
    return DETAILS.render(photo=photo, tiles=tiles)


def render_notices(sentences: Sequence[str]) -> str:
    """What the user should know: files that were refused, a correction that was kept."""
    return NOTICES.render(sentences=sentences)
