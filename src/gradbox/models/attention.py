"""Attention of torch whose backward pass takes no longer than it has to."""

from typing import Any

from torch import Tensor, nn

from gradbox.models.copying import private_copy


class WholeProducts(nn.MultiheadAttention):
    """The same with its tokens in one block of memory where it is differentiated.

    With the images first, torch would multiply the weights with each token of all images apart.
    """

    def forward(self, query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> Any:
        """As of `nn.MultiheadAttention`."""
        if query is key is value and self.batch_first and query.dim() == 3 and query.requires_grad:
            query = key = value = query.transpose(0, 1).contiguous().transpose(0, 1)
        return super().forward(query, key, value, *args, **kwargs)


def whole_products(module: nn.Module) -> nn.Module:
    """The module, or a copy that shares its tensors where it has attention of torch."""
    if not any(type(part) is nn.MultiheadAttention for part in module.modules()):
        return module
    copied = private_copy(module)
    for part in copied.modules():
        if type(part) is nn.MultiheadAttention:
            part.__class__ = WholeProducts
    return copied
