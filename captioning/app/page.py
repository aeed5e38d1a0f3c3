"""The page's components in Gradio, and what happens when they are used."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from captioning.app.corrections import keep_correction
from captioning.app.fragments import render_cards, render_details, render_notices
from captioning.app.photos import MAX_PHOTOS, SessionPhoto
from captioning.app.shared_captioner import SharedCaptioner
from captioning.errors import CaptioningError

SESSION_SECONDS = 4 * 3600
"""Until the photos of a page that was left open are forgotten."""

UPLOAD_SWEEP, UPLOAD_AGE = 60, 300
"""How often uploads are deleted from the disk, and how old they must be, both in seconds."""

LONGEST_CAPTION = 500
"""Characters of a person's caption."""

PRIVATE = {"api_visibility": "private"}
"""Of every event: the page is for people, and offers no programming interface."""


class Page:
    """The page and its event handlers.

    A session's photos are one list, Gradio's state of that session; the handlers get it as
    `photos` and change it in place, so that `_remember_sessions` can clear it at the end. Handlers
    run in threads; all that is shared between sessions is the captioner, which has a lock.
    """

    def __init__(self, captioner: SharedCaptioner, corrections: Path) -> None:
        self._captioner, self._corrections = captioner, corrections
        self._sessions: dict[str, list[SessionPhoto]] = {}  # the photos of each open page

    def build(self, model: str) -> Any:
        """The page as `gradio.Blocks`. model: its name, to be shown.

        Uploads are gone from the disk after six minutes at the latest.
        """
        import gradio as gr

        with gr.Blocks(
            title="Image captions", analytics_enabled=False, delete_cache=(UPLOAD_SWEEP, UPLOAD_AGE)
        ) as page:
            photos = gr.State([], time_to_live=SESSION_SECONDS)
            gr.Markdown(
                f"# Image captions\nDrop photos and read the captions of the model *{model}*. "
                "Everything stays on this machine; photos are forgotten when the page is closed."
            )
            dropped = gr.File(label="Photos", file_count="multiple", height=140)
            with gr.Accordion("Webcam", open=False):
                webcam = gr.Image(label="Webcam", sources=["webcam"], type="filepath", height=300)
            settings = self._settings()
            notices = gr.HTML(elem_id="notes")
            cards = gr.HTML(elem_id="cards")
            with gr.Column(visible=False) as closeup:
                # Other values must be let through: the choices may be gone when one arrives.
                chosen = gr.Dropdown(label="Photo", choices=[], allow_custom_value=True)
                details = gr.HTML(elem_id="details")
                text = gr.Textbox(label="Your caption", max_lines=3)
                save = gr.Button("Keep my caption", variant="primary")
            forget = gr.Button("Forget all photos", visible=False)

            # The components that `_update` sets, in its order.
            updated = [photos, notices, cards, closeup, chosen, forget]
            # Opening photos doesn't need the captioner's lock: four uploads may do it at once.
            uploading = {"concurrency_limit": 4, **PRIVATE}
            dropped.upload(
                self.caption_dropped, [dropped, photos, *settings], [dropped, *updated], **uploading
            )
            webcam.change(
                self.caption_webcam, [webcam, photos, *settings], [webcam, *updated], **uploading
            )
            way, *sliders = settings
            # A slider's `change` would come at every step on the way; `release` comes once.
            gr.on(
                [way.change, *(slider.release for slider in sliders)],
                self.caption_again,
                [photos, *settings, chosen],
                [cards, details, text],
                **PRIVATE,
            )
            chosen.change(self.show_details, [chosen, photos], [details, text], **PRIVATE)
            save.click(self.correct, [chosen, photos, text], [notices, cards], **PRIVATE)
            forget.click(self.forget_all, photos, updated, **PRIVATE)
            self._remember_sessions(page, photos)
        return page

    def _settings(self) -> list:
        """Components: greedy or beam search, width of the beam, captions per photo."""
        import gradio as gr

        own = self._captioner.own_beam
        with gr.Row():
            way = gr.Radio(
                ["greedy", "beam"],
                value="beam",
                label="Search",
                info="greedy: the likeliest word each time; beam: several hypotheses at once",
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
                label="Captions per photo",
                info="no more than the beam is wide; greedy search finds one",
            )
        return [way, width, top]

    def _remember_sessions(self, page: Any, photos: Any) -> None:
        """Clear a session's photos when its page is closed.

        Gradio gives the state to the event of opening a page, but not to that of closing one.
        """
        import gradio as gr

        def enter(photos: list, request: gr.Request) -> list:
            self._sessions[request.session_hash] = photos
            return photos

        def leave(request: gr.Request) -> None:
            self._sessions.pop(request.session_hash, []).clear()

        page.load(enter, photos, photos, **PRIVATE)
        page.unload(leave)

    def caption_dropped(
        self, files: list[str], photos: list[SessionPhoto], way: str, width: int, top: int
    ) -> Iterator[tuple]:
        """Caption dropped files, batch by batch; refused ones are named with the reason."""
        named = [(Path(file).name, Path(file)) for file in files]
        yield from self._caption_files(named, photos, beam_of(way, width), top)

    def caption_webcam(
        self, file: str | None, photos: list[SessionPhoto], way: str, width: int, top: int
    ) -> Iterator[tuple]:
        """Caption the webcam's picture."""
        import gradio as gr

        if file is None:  # this handler's own update, which empties the component, is a change too
            yield gr.skip()
            return
        named = [(f"webcam {len(photos) + 1}", Path(file))]
        yield from self._caption_files(named, photos, beam_of(way, width), top)

    def _caption_files(
        self, files: list[tuple[str, Path]], photos: list[SessionPhoto], beam: int, top: int
    ) -> Iterator[tuple]:
        """Updates after each batch: None, which empties the upload, then those of `_update`."""
        room = MAX_PHOTOS - len(photos)
        sentences = []
        if len(files) > room:
            sentences.append(
                f"{len(files) - room} photos were refused: {MAX_PHOTOS} are the most at a time. "
                "Export the captions, then forget all photos."
            )
            yield None, *self._update(photos, sentences)  # at once, not after the first batch
        for captioned, refused in self._captioner.caption_files(files[:room], top, beam=beam):
            photos.extend(captioned)
            sentences += refused
            yield None, *self._update(photos, sentences)

    def caption_again(
        self, photos: list[SessionPhoto], way: str, width: int, top: int, chosen: int | None
    ) -> tuple[str, str, str]:
        """Decode the photos again with other settings: cards, details, text of the chosen one."""
        self._captioner.decode(photos, top, beam=beam_of(way, width))
        return render_cards(photos), *self.show_details(chosen, photos)

    def show_details(self, chosen: int | None, photos: list[SessionPhoto]) -> tuple[str, str]:
        """One photo's best captions and attention, and its caption as text to be corrected."""
        photo = photo_at(photos, chosen)
        return (render_details(self._captioner, photo), photo.caption) if photo else ("", "")

    def correct(self, chosen: int | None, photos: list[SessionPhoto], text: str) -> tuple[str, str]:
        """Keep a person's caption of a photo: the notice about it, and the cards."""
        text = " ".join(text.split())  # on one line, as the corrections file has a line for each
        photo = photo_at(photos, chosen)
        if not photo or not text:
            notice = "Write a caption first; nothing was kept."
        elif len(text) > LONGEST_CAPTION:
            notice = f"A caption has at most {LONGEST_CAPTION} characters; nothing was kept."
        else:
            try:
                keep_correction(self._corrections, photo.name, text, photo.best[0][0])
                photo.corrected = text
                notice = f"Kept your caption of {photo.name} in {self._corrections}."
            except CaptioningError as error:
                notice = f"{error}; nothing was kept."
        return render_notices([notice]), render_cards(photos)

    def forget_all(self, photos: list[SessionPhoto]) -> tuple:
        """Empty the page."""
        photos.clear()
        return self._update(photos, [])

    def _update(self, photos: list[SessionPhoto], sentences: list[str]) -> tuple:
        """What the page shows of the photos: for the components `updated` in `build`."""
        import gradio as gr

        choices = [(f"{index + 1}. {photo.name}", index) for index, photo in enumerate(photos)]
        return (
            photos,
            render_notices(sentences),
            render_cards(photos),
            gr.update(visible=bool(photos)),
            # The last photo is chosen, which also shows its details: the dropdown has changed.
            gr.update(choices=choices, value=len(photos) - 1 if photos else None),
            gr.update(visible=bool(photos)),
        )


def photo_at(photos: list[SessionPhoto], chosen: Any) -> SessionPhoto | None:
    """The chosen photo, or None if it is gone: a click may arrive after photos were forgotten."""
    found = photos[chosen : chosen + 1] if isinstance(chosen, int) else []
    return found[0] if found else None


def beam_of(way: str, width: int) -> int:
    """The width of the beam to decode with: 1 is greedy."""
    return 1 if way == "greedy" else int(width)
