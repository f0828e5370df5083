"""Pictures much larger than the input: the whole and a grid of tiles, merged."""
