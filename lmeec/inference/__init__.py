"""From takes to results: what to run, tracking, prediction."""
