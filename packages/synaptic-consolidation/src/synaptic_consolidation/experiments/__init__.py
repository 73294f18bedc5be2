"""The experiments, by their parameters; what they compute is imported when it is computed."""
