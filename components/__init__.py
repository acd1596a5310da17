"""The pipeline's steps: what each reads, does and writes. Every step is a plain function, a command and a KFP component."""
