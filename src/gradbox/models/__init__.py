"""Classifiers: where they come from, and the one shape that gradbox gives them."""
