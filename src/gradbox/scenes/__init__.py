"""What the scenes are made of: paints, outlines, sprites, backgrounds, clutter, light.

Every part is drawn from a random generator and nothing else, in units that do not depend on the
number of pixels, so a scene has the same composition at every size.
"""
