"""Boxes without box labels: any image classifier, your images, boxes and an honest score.

Start with `load_classifier` and `localize`. The public names stand in `__init__.pyi`; each is
imported when it is first used, so that `import gradbox` needs no torch.
"""

from importlib.metadata import version

import lazy_loader

from gradbox.reports.display import register

__getattr__, _public, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = version("gradbox")
register()


def __dir__() -> list[str]:
    return sorted({*globals(), *_public()})
