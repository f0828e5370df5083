"""wsolevaluation's protocol under its own names."""
