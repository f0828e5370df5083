"""The first tab: one image under two methods side by side."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from gradbox.images.decode import load_rgb
from gradbox.localization import ImageSource
from gradbox.reports.drawing import resized_within
from gradbox.web.answers import answered, found_html, remark
from gradbox.web.examples import credit_line, examples
from gradbox.web.explorer import Explorer, Opened
from gradbox.web.sliders import BOXES, MOST, OWN, box_at, sliders_of

NOTHING = "nothing"
_THUMBNAIL = 160
_MODEL: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}
PRIVATE: dict[str, Any] = {"api_visibility": "private"}
_AT_ONCE: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "always_last"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """The controls of one of the two methods, and where its answer stands."""

    method: gr.Dropdown
    box: gr.Dropdown
    sliders: Sequence[gr.Slider]
    answer: gr.HTML
    may_be_empty: bool

    def with_methods(self, methods: Iterable[str]) -> gr.Dropdown:
        """The choice of methods anew; what is chosen stays."""
        return gr.Dropdown(choices=_offered(methods, self.may_be_empty))

    @property
    def inputs(self) -> list[Any]:
        """What says how it looks."""
        return [self.method, self.box, *self.sliders]


def look_tab(explorer: Explorer) -> Sequence[Side]:
    """Lay the tab out and wire it; its two sides."""
    opened = gr.State(None)
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            drop = gr.File(label="Drop or paste an image", elem_classes="drop", height=130)
            line = gr.HTML(remark("or take an example"))
            label = gr.Dropdown(
                [],
                label="Class: one of the most probable, or type a name",
                allow_custom_value=True,
                visible=explorer.classifier.has_classes,
                elem_id="class",
            )
            mask = gr.Checkbox(False, label="Mask of the main box")
        with gr.Column(scale=2):
            shown = examples()
            gallery = gr.Gallery(
                [(resized_within(load_rgb(one.source), _THUMBNAIL), one.image_id) for one in shown],
                label="Examples",
                columns=5,
                height=335,
                allow_preview=False,
                show_label=True,
                buttons=[],
                elem_id="examples",
            )
            gr.HTML(remark(f"photographs: {credit_line()}"))
    with gr.Row():
        sides = [_side(name, explorer.methods, name == "right") for name in ("left", "right")]

    def open_drop(path: str | None) -> Any:
        if path is None:
            return gr.skip(), gr.skip(), gr.skip(), gr.skip()
        file = Path(path)
        try:
            return None, *_opened(explorer, file, file.name)
        finally:
            file.unlink(missing_ok=True)

    def open_example(event: gr.SelectData) -> Any:
        sample = shown[event.index]
        return _opened(explorer, sample.source, sample.image_id)

    heard = [
        drop.upload(open_drop, drop, [drop, opened, label, line], **_MODEL, **PRIVATE),
        gallery.select(open_example, None, [opened, label, line], **_MODEL, **PRIVATE),
    ]
    for side in sides:
        asking = {
            "fn": _drawer(explorer),
            "inputs": [opened, label, mask, *side.inputs],
            "outputs": [side.answer],
            **_MODEL,
            **PRIVATE,
        }
        for event in heard:
            event.then(**asking)
        gr.on([label.input, mask.input, side.method.input], **asking)
        for slider in side.sliders:
            slider.input(**asking, **_AT_ONCE)
        side.box.input(_moved, side.box, list(side.sliders), **PRIVATE).then(**asking)
    return sides


def _offered(methods: Iterable[str], may_be_empty: bool) -> list[str]:
    return [*([NOTHING] if may_be_empty else []), *methods]


def _side(name: str, methods: Iterable[str], may_be_empty: bool) -> Side:
    offered = _offered(methods, may_be_empty)
    with gr.Column(elem_id=name):
        with gr.Row():
            chosen = gr.Dropdown(offered, value=offered[0], label="Method", elem_classes="method")
            box = gr.Dropdown([*BOXES], value=OWN, label="Box", elem_classes="box")
        with gr.Row():
            sliders = [
                gr.Slider(0, 1, visible=False, min_width=150, elem_classes=f"slider{i}")
                for i in range(MOST)
            ]
        answer = gr.HTML("", elem_classes="shown")
    return Side(method=chosen, box=box, sliders=sliders, answer=answer, may_be_empty=may_be_empty)


def _moved(box: str) -> list[Any]:
    """The sliders of a box, as many as there are at most."""
    of_box = [
        gr.Slider(
            label=one.option,
            minimum=one.low,
            maximum=one.high,
            step=one.step,
            value=value,
            visible=True,
        )
        for one, value in sliders_of(box)
    ]
    return of_box + [gr.Slider(visible=False)] * (MOST - len(of_box))


def _opened(explorer: Explorer, source: ImageSource, name: str) -> tuple[Any, Any, str]:
    """The opened image, its classes to choose from and a line; on failure the line alone."""
    made: list[Opened] = []

    def line() -> str:
        made.append(explorer.open(source, name))
        height, width = made[0].loaded.frame.original
        return remark(f"{made[0].name}: {width:,} x {height:,} pixels")

    said = answered(line, name=name)
    if not made:
        return gr.skip(), gr.skip(), said
    choices = explorer.choices(made[0])
    return made[0], gr.Dropdown(choices=choices, value=choices[0][1] if choices else ""), said


def _drawer(explorer: Explorer) -> Any:
    def draw(
        opened: Opened | None, label: str, mask: bool, method: str, box: str, *values: float
    ) -> str:
        if method == NOTHING:
            return ""
        if opened is None:  # nothing yet, or so many other pages since that it was let go
            return remark("drop an image, or take an example")

        def make() -> str:
            found = explorer.locate(
                opened, method, box_at(box, values), label=label or "", mask=mask
            )
            options = [one.option for one, _ in sliders_of(box)]
            said = {
                "model": explorer.classifier.name,
                "method": method,
                "box": box,
                **dict(zip(options, values, strict=False)),
            }
            return found_html(opened, found, said)

        return answered(make)

    return draw
