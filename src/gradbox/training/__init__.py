"""What `gradbox.train` is made of: labels, pixels, augmentation, network, loop and checkpoint."""
