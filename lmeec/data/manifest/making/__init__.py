"""Manifests that are written for the user, out of what is found or named on the command line."""
