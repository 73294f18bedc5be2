"""The experiments: their parameters, and how their results are computed."""
