"""Files: written whole, found by path or URL, decoded with the place of what is wrong."""
