"""The transformer of `transformers_at_work.py`, in a file that a model card can name."""

from functools import partial

from torch import nn

from gradbox.models.small import Small


def vit(num_classes: int, side: int = 64, dim: int = 64, depth: int = 3) -> nn.Module:
    """A vision transformer of timm behind a stem of convolutions, on patches of 8 pixels.

    Early convolutions help a transformer to see (Xiao et al., NeurIPS 2021); bare patches take many
    more images. The stem is that of `gradbox/small` without its last
    stage. Classes are read from the class token.
    """
    from timm.models.vision_transformer import VisionTransformer
    from timm.models.vision_transformer_hybrid import HybridEmbed

    network = Small(num_classes)
    stem = nn.Sequential(network.stem, network.stages[:-1])
    return VisionTransformer(
        img_size=side,
        patch_size=1,
        num_classes=num_classes,
        embed_dim=dim,
        depth=depth,
        num_heads=2,
        mlp_ratio=2,
        embed_layer=partial(HybridEmbed, backbone=stem),
    )
