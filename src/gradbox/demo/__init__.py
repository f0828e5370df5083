"""The main job on what is built in: photographs with boxes, generated scenes with scores."""
