"""The modes of the paper: their parameters, and what they compute."""
