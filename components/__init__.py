"""The pipeline's steps: what each reads, does and writes. Each is a plain function, a command and a KFP component."""
