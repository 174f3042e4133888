"""Frames of camera videos as the network sees them."""
