"""Training: clips of two views, the differentiable pass over them, losses, and the loop that saves and resumes."""
