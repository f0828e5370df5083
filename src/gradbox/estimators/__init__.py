"""From heat maps to boxes: rules without training, and learned ones."""
