"""Recordings that are no Ego-Exo4D: a file that names takes, their cameras and where their masks are."""
