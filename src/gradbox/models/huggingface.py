"""Image classifiers of transformers: a folder that `save_pretrained` wrote, or a name of the hub.

The extra `huggingface` brings transformers. No code of a model is run, and weights are read from
safetensors alone.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from gradbox.errors import UsageError
from gradbox.images.preprocessing import Preprocessing
from gradbox.models.heads import SOFTMAX, Head
from gradbox.models.huggingface_processor import PROCESSOR_FILES, preprocessing_of
from gradbox.models.model import Model

PREFIX = "hf/"
_CONFIG = "config.json"
_TASK = "ForImageClassification"
_HEADS: Mapping[str | None, Head | None] = {
    "single_label_classification": SOFTMAX,
    "multi_label_classification": Head("sigmoid"),
    "regression": Head("none"),
}
_AS_IT_IS: Mapping[str, Any] = {"local_files_only": True, "trust_remote_code": False}
"""Code that a folder names is neither fetched nor run, and nobody is asked whether to."""
_OTHER_WEIGHTS = (".bin", ".h5", ".msgpack")
"""Of torch, which may hold code, and of other libraries."""
_WANTED = (_CONFIG, *PROCESSOR_FILES, "model*.safetensors", "model.safetensors.index.json")


def name_in(spec: str, root: Path) -> str | None:
    """The name or folder of `hf/NAME` or of the path of a folder; None where it is neither."""
    if spec.startswith(PREFIX):
        return spec.removeprefix(PREFIX)
    return spec if spec and is_model_folder(root / spec) else None


def is_model_folder(path: Path) -> bool:
    """Whether it is a folder with a configuration of transformers."""
    return os.path.isfile(path / _CONFIG)  # unlike Path.is_file it answers for every text


@torch.random.fork_rng([])  # the caller's random numbers stay as they are
def load_pretrained(
    name: str, root: Path, *, with_weights: bool = True, seen: Preprocessing | None = None
) -> Model:
    """The classifier of a folder, relative to `root`, or of a name of the hub.

    Without `with_weights` they stay random. `seen` takes the place of what the processor's file
    says of the input.

    Raises:
        UsageError: transformers is not installed, no such folder or name, a model of another task,
            no weights in safetensors or others than its configuration asks for, or a processor's
            file that does not say how the input is made.
    """
    transformers = _transformers(name)
    folder = _folder(name, root)
    config = _read(folder / _CONFIG)
    _check_task(name, config)
    if with_weights:
        _check_weights(name, folder)
    preprocessing = seen or preprocessing_of(name, folder, int(config.get("num_channels", 3)))
    with _quiet(transformers):
        try:
            made = transformers.AutoConfig.from_pretrained(folder, **_AS_IT_IS)
            auto = transformers.AutoModelForImageClassification
            if with_weights:
                module, info = auto.from_pretrained(
                    folder,
                    **_AS_IT_IS,
                    use_safetensors=True,
                    output_loading_info=True,
                    dtype=torch.float32,
                )
                _check_loaded(name, info)
            else:
                module = auto.from_config(made)
        except UsageError:
            raise
        except Exception as error:  # of any type: transformers builds what the files describe
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise UsageError(
                f"{PREFIX}{name} cannot be loaded by transformers: {reason}"
            ) from error
    return Model(
        module=module,
        preprocessing=preprocessing,
        class_names=_names(made.id2label),
        head=_HEADS.get(config.get("problem_type")),
    )


def _transformers(name: str) -> Any:
    try:
        import transformers
    except ImportError as error:
        raise UsageError(
            f"{PREFIX}{name} needs transformers: pip install 'gradbox[huggingface]'"
        ) from error
    return transformers


def _folder(name: str, root: Path) -> Path:
    """The folder of this path, else that of the hub's copy on this machine.

    Raises:
        UsageError: there is none, or it is no model of transformers.
    """
    path = root / name
    if path.is_dir():
        if not is_model_folder(path):
            raise UsageError(f"{path} has no {_CONFIG}: give a folder that save_pretrained wrote")
        return path
    from huggingface_hub import snapshot_download

    try:
        found = Path(snapshot_download(name, allow_patterns=list(_WANTED)))
    except Exception as error:  # of any type: names, networks, rights, disks
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UsageError(
            f"{PREFIX}{name}: there is no such folder, and the hub does not give it ({reason}): "
            "give a folder that save_pretrained wrote, or OWNER/NAME of the hub"
        ) from error
    if not is_model_folder(found):
        raise UsageError(f"{PREFIX}{name} has no {_CONFIG}: it is no model of transformers")
    return found


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} is no configuration: it holds no object")
    return content


def _check_task(name: str, config: Mapping[str, Any]) -> None:
    made_for = config.get("architectures") or ()
    if not any(str(one).endswith(_TASK) for one in made_for):
        what = ", ".join(map(str, made_for)) or "nothing that it names"
        raise UsageError(
            f"{PREFIX}{name} is a model for {what}, no image classifier: give one whose "
            f"architecture ends in {_TASK}, or wrap the network yourself (head = none)"
        )


def _check_weights(name: str, folder: Path) -> None:
    if any(folder.glob("model*.safetensors")):
        return
    others = sorted(one.name for one in folder.iterdir() if one.suffix in _OTHER_WEIGHTS)
    has = f"only {', '.join(others)}, which is not read" if others else "none"
    raise UsageError(
        f"{PREFIX}{name} needs its weights as model.safetensors and has {has}: save the model "
        "again with save_pretrained, or give --weights FILE"
    )


def _check_loaded(name: str, info: Mapping[str, Any]) -> None:
    for kind in ("missing_keys", "mismatched_keys", "unexpected_keys"):
        if keys := sorted(map(str, info.get(kind) or ())):
            more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
            raise UsageError(
                f"{PREFIX}{name}: its weights do not fit its configuration "
                f"({kind.removesuffix('_keys')}: {keys[0]}{more})"
            )


def _names(id2label: Mapping[int, str]) -> Sequence[str]:
    """The names of the classes in their order; none where they are only numbered."""
    names = [str(id2label[index]) for index in sorted(id2label)]
    numbered = [f"LABEL_{index}" for index in range(len(names))]
    return () if names == numbered else names


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Without the library's bars and its remarks on what it loads."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
