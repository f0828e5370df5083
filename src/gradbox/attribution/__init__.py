"""Heat maps of a network: the one derivative, and the methods that are made of it."""
