"""What the claims have in common."""

SOURCE = "release's output figures"
"""The output figures published with the release (inverted data; 100 epochs; 10, 20 and 50 cycles;
num 50; 3 seeds)."""
PROJECT = "this project"
"""What was found here and published by nobody."""
