"""The second tab: boxes are drawn, `auto` is fitted to them, and it shows whether that pays."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio_image_annotation import image_annotator

from gradbox.auto.fitting import FEWEST
from gradbox.errors import ImageError
from gradbox.web.answers import answered, fitted_html, remark, without_folders
from gradbox.web.copies import Copies
from gradbox.web.drawn import Drawn
from gradbox.web.explorer import Explorer
from gradbox.web.look_tab import PRIVATE, Side


class FitTab:
    """The tab, laid out and wired; `previews` is a folder that the server may show."""

    def __init__(
        self, explorer: Explorer, drawn: Drawn, sides: Sequence[Side], previews: Path
    ) -> None:
        self.explorer, self.drawn = explorer, drawn
        self.sides, self.copies = sides, Copies(drawn, explorer.seen, previews)
        with gr.Row():
            with gr.Column(scale=1, min_width=280):
                drop = gr.File(
                    label="Drop or paste images",
                    file_count="multiple",
                    elem_classes="drop",
                    height=130,
                )
                line = gr.HTML(
                    remark("drag on the image to draw a box, Delete takes it away again")
                )
                chooser = gr.Dropdown(**self._choices(), label="Image", elem_id="image")
                with gr.Row():
                    back = gr.Button("Previous")
                    on = gr.Button("Next")
                counts = gr.HTML(self._counts(), elem_id="counts")
                press = gr.Button("Fit", variant="primary", elem_id="fit")
            with gr.Column(scale=2):
                annotator = image_annotator(
                    show_label=False,
                    sources=[],
                    disable_edit_boxes=True,
                    show_download_button=False,
                    show_share_button=False,
                    show_clear_button=False,
                    show_remove_button=True,
                    box_min_size=4,
                    elem_id="annotator",
                )
        answer = gr.HTML("", elem_id="fitted")
        self.shows = [chooser, annotator, counts]
        drop.upload(self._add, drop, [drop, chooser, annotator, counts, line], **PRIVATE)
        chooser.input(self._shown, chooser, annotator, **PRIVATE)
        for button, step in ((back, -1), (on, 1)):
            button.click(self._stepper(step), chooser, [chooser, annotator], **PRIVATE)
        annotator.change(
            self._draw,
            annotator,
            [counts, chooser],
            preprocess=False,
            show_progress="hidden",
            **PRIVATE,
        )
        press.click(
            self._fit,
            None,
            [answer, *(side.method for side in sides)],
            concurrency_id="fit",
            concurrency_limit=1,
            **PRIVATE,
        )

    def now(self) -> Any:
        """What it `shows` in a page that is opened: all that was drawn until then."""
        name = next(iter(self.drawn.image_ids), None)
        return gr.Dropdown(**self._choices()), self._shown(name), self._counts()

    def _add(self, paths: Sequence[str] | None) -> Any:
        """Take the images of a drop; those that cannot be used are a line each."""
        added: list[str] = []
        wrong = ""
        for path in map(Path, paths or ()):
            try:
                wrong += answered(partial(self._added, path, added), name=path.name)
            finally:
                path.unlink(missing_ok=True)
        if not added:
            return None, gr.skip(), gr.skip(), gr.skip(), wrong
        chosen = added[0]
        return (
            None,
            gr.Dropdown(**self._choices(chosen)),
            self._shown(chosen),
            self._counts(),
            wrong,
        )

    def _added(self, path: Path, added: list[str]) -> str:
        most = self.explorer.limits.images
        if len(self.drawn.image_ids) >= most:
            raise ImageError(f"there are {most} images already, which is all that are taken here")
        opened = self.explorer.open(path, path.name)
        added.append(self.drawn.add(path, opened.name, opened.loaded.frame.original))
        return ""

    def _stepper(self, step: int) -> Any:
        def to_neighbour(chosen: str | None) -> Any:
            names = self.drawn.image_ids
            if not names:
                return gr.skip(), gr.skip()
            at = names.index(chosen) + step if chosen in names else 0
            name = names[at % len(names)]
            return gr.Dropdown(**self._choices(name)), self._shown(name)

        return to_neighbour

    def _draw(self, shown: Mapping[str, Any] | None) -> Any:
        """Keep what is drawn; the payload is what the browser sent, so nothing in it is trusted."""

        def keep() -> str:
            self.copies.draw(shown or {})
            return self._counts()

        said = answered(keep)
        return said, gr.Dropdown(choices=self._choices()["choices"])

    def _fit(self, progress: gr.Progress = gr.Progress()) -> Any:  # noqa: B008 (Gradio's way)
        def make() -> str:
            return fitted_html(self.explorer.fit(self.drawn, track=_tracked(progress)))

        said = answered(make)
        return said, *(side.with_methods(self.explorer.methods) for side in self.sides)

    def _choices(self, chosen: str | None = None) -> dict[str, Any]:
        choices = [
            (f"{name}: {count or 'no'} box{'' if count == 1 else 'es'}", name)
            for name, count in self.drawn.counts.items()
        ]
        return {"choices": choices, "value": chosen or (choices[0][1] if choices else None)}

    def _counts(self) -> str:
        counts = [count for count in self.drawn.counts.values() if count]
        said = f"{sum(counts)} boxes on {len(counts)} of {len(self.drawn.image_ids)} images"
        missing = FEWEST - len(counts)
        return remark(f"{said}; {missing} more images needed" if missing > 0 else said)

    def _shown(self, name: str | None) -> dict[str, Any] | None:
        """The copy of an image that is drawn on, with its boxes."""
        if name is None:
            return None
        try:
            return self.copies.shown(name)
        except ValueError as error:
            raise gr.Error(without_folders(str(error))) from error


def _tracked(progress: Any) -> Any:
    def track(groups: Iterable[Any], count: int, title: str) -> Iterator[Any]:
        done = 0
        for group in groups:
            progress((done, count), desc=title)
            yield group
            done += len(group)

    return track
