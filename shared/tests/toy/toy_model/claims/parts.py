"""What is claimed of walks in parts: nothing."""

CLAIMS = []
