"""Analysis of results tables: metrics by group with bootstrap intervals over takes, and runs compared."""
