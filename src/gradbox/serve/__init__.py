"""gradbox as a service that Label Studio asks for boxes, and what checks the two of them."""
