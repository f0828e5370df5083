"""The default way from an image to boxes: combined maps, objects, a score to trust."""
