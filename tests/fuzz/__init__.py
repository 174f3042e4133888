"""Hostile inputs for every reader: made from small valid ones, reproducible by reader, seed and number."""
