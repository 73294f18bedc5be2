"""Figures, drawn from the results of an experiment and from nothing else."""
