"""Timed comparisons that print JSON; run as `python -m benchmarks.NAME` in the root of the repository."""
