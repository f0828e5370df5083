"""What `gradbox.training.train` is made of: labels, pixels, augmentation, network, loop and checkpoint."""
