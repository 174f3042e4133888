"""How the clocks of two videos go: from what both heard, or saw move."""
