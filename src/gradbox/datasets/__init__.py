"""Data sets on disk, or made on the fly, as `Sample`s."""
