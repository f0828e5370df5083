"""The page: two tabs for one classifier."""

from pathlib import Path

import gradio as gr

from gradbox.web.drawn import Drawn
from gradbox.web.explorer import Explorer
from gradbox.web.fit_tab import FitTab
from gradbox.web.look_tab import PRIVATE, look_tab
from gradbox.web.server import WAITING


def page(explorer: Explorer, drawn: Drawn, previews: Path) -> gr.Blocks:
    """Gradio's blocks, not yet on a port; `previews` is Gradio's own folder of files."""
    name = explorer.classifier.name
    with gr.Blocks(title=f"gradbox: {name}", analytics_enabled=False) as made:
        gr.Markdown(f"## gradbox\n`{name}`")
        with gr.Tab("Look", id="look"):
            sides = look_tab(explorer)
        with gr.Tab("Draw boxes and fit", id="fit"):
            tab = FitTab(explorer, drawn, sides, previews)
        made.load(tab.now, None, tab.shows, **PRIVATE)
    return made.queue(max_size=WAITING, default_concurrency_limit=4, api_open=False)
