"""The page's parts in Gradio, and what happens when they are used."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from captioning.errors import CaptioningError

SESSION_SECONDS = 4 * 3600
LONGEST_CAPTION = 500


class Page:
    """The page's parts and what happens when they are used; photos belong to one session."""

    def __init__(self, desk: Any, corrections: Path) -> None:
        self._desk, self._corrections = desk, corrections
        self.open: dict[str, list] = {}  # the photos of each session

    def build(self, model: str) -> Any:
        """The page in Gradio. Uploads are gone from the disk after six minutes at the latest."""
        import gradio as gr

        with gr.Blocks(
            title="Image captions", analytics_enabled=False, delete_cache=(60, 300)
        ) as page:
            photos = gr.State([], time_to_live=SESSION_SECONDS)
            gr.Markdown(
                f"# Image captions\nDrop photos and read what the model *{model}* says of them. "
                "Everything stays on this machine; photos are forgotten when the page is closed."
            )
            dropped = gr.File(label="Photos", file_count="multiple", height=140)
            with gr.Accordion("Webcam", open=False):
                webcam = gr.Image(label="Webcam", sources=["webcam"], type="filepath", height=300)
            settings = self._settings()
            notes = gr.HTML(elem_id="notes")
            cards = gr.HTML(elem_id="cards")
            with gr.Column(visible=False) as closer:
                # Other values are let through: choices may be gone when a choice arrives.
                chosen = gr.Dropdown(label="Look closer at", choices=[], allow_custom_value=True)
                details = gr.HTML(elem_id="details")
                text = gr.Textbox(label="Your caption", max_lines=3)
                save = gr.Button("Keep my caption", variant="primary")
            forget = gr.Button("Forget all photos", visible=False)

            shown = [photos, notes, cards, closer, chosen, forget]
            private = {"api_visibility": "private"}
            taking = {"concurrency_limit": 4, **private}
            dropped.upload(self.receive, [dropped, photos, *settings], [dropped, *shown], **taking)
            webcam.change(self.snap, [webcam, photos, *settings], [webcam, *shown], **taking)
            gr.on(
                [settings[0].change, *(slider.release for slider in settings[1:])],
                self.again,
                [photos, *settings, chosen],
                [cards, details, text],
                **private,
            )
            chosen.change(self.look_closer, [chosen, photos], [details, text], **private)
            save.click(self.correct, [chosen, photos, text], [notes, cards], **private)
            forget.click(self.forget, photos, shown, **private)
            self._remember_sessions(page, photos)
        return page

    def _settings(self) -> list:
        """How to decode: greedy or a beam, its width (the model's own), captions a photo."""
        import gradio as gr

        own = self._desk.beam
        with gr.Row():
            way = gr.Radio(
                ["greedy", "beam"],
                value="beam",
                label="How words are chosen",
                info="greedy: the likeliest word each time; beam: several captions at once",
            )
            width = gr.Slider(
                2,
                max(10, own),
                own if own > 1 else 5,
                step=1,
                label="Width of the beam",
                info="wider: slower, and often better",
            )
            top = gr.Slider(
                1,
                10,
                3,
                step=1,
                label="Captions a photo",
                info="of a beam: no more than it is wide; greedy finds one",
            )
        return [way, width, top]

    def _remember_sessions(self, page: Any, photos: Any) -> None:
        """Photos are cleared when their session's page is closed."""
        import gradio as gr

        def enter(photos: list, request: gr.Request) -> list:
            self.open[request.session_hash] = photos
            return photos

        def leave(request: gr.Request) -> None:
            self.open.pop(request.session_hash, []).clear()

        page.load(enter, photos, photos, api_visibility="private")
        page.unload(leave)

    def receive(
        self, files: list[str], photos: list, way: str, width: int, top: int
    ) -> Iterator[tuple]:
        """Caption dropped files, 16 at a time; what can't be captioned is named with its reason."""
        named = [(Path(file).name, Path(file)) for file in files]
        yield from self._take(named, photos, beam_of(way, width), top)

    def snap(
        self, file: str | None, photos: list, way: str, width: int, top: int
    ) -> Iterator[tuple]:
        """Caption the webcam's picture."""
        import gradio as gr

        if file is None:  # the page has just emptied it
            yield gr.skip()
            return
        named = [(f"webcam {len(photos) + 1}", Path(file))]
        yield from self._take(named, photos, beam_of(way, width), top)

    def _take(self, named: list, photos: list, beam: int, top: int) -> Iterator[tuple]:
        """Updates of an emptied input and of all that is shown, batch by batch."""
        from captioning.app.desk import MAX_PHOTOS

        room = MAX_PHOTOS - len(photos)
        sentences = []
        if len(named) > room:
            sentences.append(
                f"{len(named) - room} photos were refused: {MAX_PHOTOS} are the most at a time. "
                "Export the captions, then forget all photos."
            )
            yield None, *self._shown(photos, sentences)
        for taken, refused in self._desk.take(named[:room], top, beam=beam):
            photos.extend(taken)
            sentences += refused
            yield None, *self._shown(photos, sentences)

    def again(self, photos: list, way: str, width: int, top: int, chosen: int | None) -> tuple:
        """Caption what is on the page with other settings."""
        from captioning.app.cards import cards

        self._desk.caption(photos, top, beam=beam_of(way, width))
        return cards(photos), *self.look_closer(chosen, photos)

    def look_closer(self, chosen: int | None, photos: list) -> tuple[str, str]:
        """One photo's best captions and attention, and its caption to be corrected."""
        from captioning.app.cards import closer

        photo = one_of(photos, chosen)
        return (closer(self._desk, photo), photo.caption) if photo else ("", "")

    def correct(self, chosen: int | None, photos: list, text: str) -> tuple[str, str]:
        """Keep a person's caption of a photo."""
        from captioning.app.cards import cards, notes
        from captioning.app.corrections import keep_correction

        text = " ".join(text.split())
        photo = one_of(photos, chosen)
        if not photo or not text:
            said = "Write a caption first; nothing was kept."
        elif len(text) > LONGEST_CAPTION:
            said = f"A caption has at most {LONGEST_CAPTION} letters; nothing was kept."
        else:
            try:
                keep_correction(self._corrections, photo.name, text, photo.best[0][0])
                photo.corrected = text
                said = f"Kept your caption of {photo.name} in {self._corrections}."
            except CaptioningError as error:
                said = f"{error}; nothing was kept."
        return notes([said]), cards(photos)

    def forget(self, photos: list) -> tuple:
        """Empty the page."""
        photos.clear()
        return self._shown(photos, [])

    def _shown(self, photos: list, sentences: list[str]) -> tuple:
        """What the page shows of the photos: in the order of `shown` in `build`."""
        import gradio as gr

        from captioning.app.cards import cards, notes

        choices = [(f"{place + 1}. {photo.name}", place) for place, photo in enumerate(photos)]
        return (
            photos,
            notes(sentences),
            cards(photos),
            gr.update(visible=bool(photos)),
            gr.update(choices=choices, value=len(photos) - 1 if photos else None),
            gr.update(visible=bool(photos)),
        )


def one_of(photos: list, chosen: Any) -> Any:
    """The chosen photo; None where it is gone: a click may come after photos were forgotten."""
    some = photos[chosen : chosen + 1] if isinstance(chosen, int) else []
    return some[0] if some else None


def beam_of(way: str, width: int) -> int:
    """The width of the beam: 1 is greedy."""
    return 1 if way == "greedy" else int(width)
