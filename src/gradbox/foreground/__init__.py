"""Class-agnostic foreground: a small head on a classifier's activations, taught by boxes."""
