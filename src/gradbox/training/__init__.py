"""A classifier from image labels: labels, pixels, augmentation, network, loop and checkpoint."""
