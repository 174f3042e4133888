"""Tests, in the folders of what they test; equal file names do not clash, as pytest imports each by its path."""
