"""Numbers: boxes and masks held against the true ones, with intervals and constant boxes."""
