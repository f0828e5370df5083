"""A page in the browser: an image under methods side by side, and boxes drawn to fit `auto`."""
