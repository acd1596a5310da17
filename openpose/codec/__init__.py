"""Keypoints to heatmap and vectmap (PAF), and back."""
