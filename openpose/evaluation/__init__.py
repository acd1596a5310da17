"""Measures a network: COCO AP, kinds of errors and validation losses; and the registry of accepted models."""
