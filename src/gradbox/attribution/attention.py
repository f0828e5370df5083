"""The attention matrices of a forward pass, read as they are made.

A transformer's attention is a function call that neither keeps its matrix nor is a module of its
own: timm and transformers call torch's fused one, `nn.MultiheadAttention` calls another, and
unfused code takes a softmax. So the calls are watched, not the modules, and nothing is changed.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

Attention = Float[Tensor, "b heads n n"]
"""How much each token (a row) takes from each (a column); rows sum to 1."""

_SOFTMAX = (F.softmax, torch.softmax, Tensor.softmax)


class Attentions(TorchFunctionMode):
    """Collects the attention of each layer of a forward pass in `found`, in order.

    What is no attention of all tokens among themselves is left out: matrices that are not square,
    such as those of a single query, and softmaxes of anything but (b, heads, n, n).
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Attention] = []

    def __torch_function__(self, func: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            self._keep(_attention(*args, **kwargs))
        elif func is F.multi_head_attention_forward:
            told = {**kwargs, "need_weights": True, "average_attn_weights": False}
            output, attention = func(*args, **told)
            self._keep(attention)
            return output, attention if kwargs.get("need_weights", True) else None
        output = func(*args, **kwargs)
        if func in _SOFTMAX:
            self._keep(output)
        return output

    def _keep(self, attention: Tensor | None) -> None:
        assert attention is not None
        if attention.dim() == 4 and attention.shape[2] == attention.shape[3] > 1:
            self.found.append(attention.detach().float())


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """The matrix that `F.scaled_dot_product_attention` multiplies the values by."""
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], dim=-3)
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    logits = query @ key.transpose(-2, -1) * factor
    if is_causal:
        later = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).triu(1)
        logits = logits.masked_fill(later, -math.inf)
    if attn_mask is not None:
        masked = attn_mask.dtype == torch.bool
        logits = logits.masked_fill(~attn_mask, -math.inf) if masked else logits + attn_mask
    return logits.softmax(dim=-1)
