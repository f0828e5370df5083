"""Paper B: localization with the neurons that speak for a class, stage by stage."""
