"""Clips with their captions and questions, out of every kind of file that Exo2Ego learns from and is judged on."""
