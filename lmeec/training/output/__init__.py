"""What training writes: weights, state, log."""
