"""How good a network is: COCO AP, kinds of errors, losses, and the champions."""
