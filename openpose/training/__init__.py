"""The training: parameters, step, loop, checkpoints, log."""
