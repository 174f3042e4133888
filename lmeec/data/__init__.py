"""Takes: layouts, annotations, descriptions, and what the ground truth of a frame is."""
