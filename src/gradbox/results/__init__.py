"""What a run leaves on disk: predictions and heat maps."""
