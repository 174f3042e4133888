"""CVAT's XML for video tasks, and the masks in it."""
