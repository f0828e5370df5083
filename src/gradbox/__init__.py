"""Boxes without box labels."""
