"""Figures: each mode's are drawn from the results of its run, and from nothing else."""
