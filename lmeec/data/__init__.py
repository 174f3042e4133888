"""Takes: annotations, videos and synthetic data."""
