"""Compressed long-term memory banks and the policies that keep them short."""
