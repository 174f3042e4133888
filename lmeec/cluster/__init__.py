"""Runs over many workers on Ray, the only part of lmeec that imports it; `lmeec.cluster.resources` does not."""
