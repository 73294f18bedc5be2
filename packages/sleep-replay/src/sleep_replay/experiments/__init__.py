"""The experiments: their parameters, and what they compute."""
