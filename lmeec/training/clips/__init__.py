"""Where the clips of a training batch come from."""
