"""Folders of small image classifiers that transformers itself writes, of random weights."""

import http.server
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

SIZE = 32
_ViT = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": SIZE,
    "patch_size": 8,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "ViT": _ViT,
    "DeiT": _ViT,
    "Beit": _ViT,
    "Dinov2WithRegisters": _ViT,
    "Swin": {
        "image_size": SIZE,
        "patch_size": 2,
        "embed_dim": 8,
        "depths": [1, 1],
        "num_heads": [1, 2],
        "window_size": 4,
    },
    "ResNet": {
        "embedding_size": 8,
        "hidden_sizes": [8, 16],
        "depths": [1, 1],
        "layer_type": "basic",
    },
    "ConvNext": {"hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1]},
}
"""Small configurations of families of CNNs and vision transformers."""


def write(folder: Path, family: str, *, classes: int = 3, **changes: Any) -> Path:
    """A folder as `save_pretrained` writes it, with the file of a processor."""
    import transformers

    names = ["disc", "bar", "cross", "star"][:classes]
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(
        **{**FAMILIES[family], **changes},
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
    )
    module = getattr(transformers, f"{family}ForImageClassification")(config).eval()
    for name, values in module.named_parameters():
        if name.endswith("weight") and values.dim() > 1:
            torch.nn.init.normal_(values, std=(2.0 / values[0].numel()) ** 0.5)
    module.save_pretrained(folder)
    processor = transformers.ViTImageProcessor(size={"height": SIZE, "width": SIZE})
    processor.save_pretrained(folder)
    return folder


def photograph(size: int = SIZE) -> np.ndarray:
    """Soft colours, and a bright square."""
    ramp = np.linspace(0, 160, size)
    image = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], 0.5 * ramp[::-1, None]), axis=2)
    image[size // 4 : size // 2, size // 8 : size // 2] = (250, 220, 180)
    return image.astype(np.uint8)


class Hub(http.server.BaseHTTPRequestHandler):
    """What the hub's client asks for: the files of a commit, and each with its headers."""

    commit = "89abcdef0123456789abcdef0123456789abcdef"
    folder: Path

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = self.path.split("?")[0]
        if path.startswith("/api/models/owner/tiny/tree/"):
            files = [
                {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": file.name}
                for file in self.folder.iterdir()
            ]
            self._send(json.dumps(files).encode(), body=body, kind="application/json")
        elif path.startswith("/api/models/owner/tiny"):
            names = [file.name for file in self.folder.iterdir()]
            about = {
                "id": "owner/tiny",
                "sha": self.commit,
                "siblings": [{"rfilename": n} for n in names],
            }
            self._send(json.dumps(about).encode(), body=body, kind="application/json")
        elif path.startswith("/owner/tiny/resolve/"):
            self._send((self.folder / path.rpartition("/")[2]).read_bytes(), body=body)
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _send(self, content: bytes, *, body: bool, kind: str = "application/octet-stream") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hash(content) & 0xFFFFFFFF:x}"')
        self.send_header("X-Repo-Commit", self.commit)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass
