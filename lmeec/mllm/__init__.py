"""Exo2Ego (arXiv 2503.09143): learn from what the exo camera sees, answer from the ego camera alone."""
