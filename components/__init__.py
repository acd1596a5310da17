"""The pipeline's steps. Each is a plain function, a command and a KFP component."""
