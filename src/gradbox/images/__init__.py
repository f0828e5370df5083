"""Pictures in: files decoded to upright RGB, brought to input size, in batches."""
