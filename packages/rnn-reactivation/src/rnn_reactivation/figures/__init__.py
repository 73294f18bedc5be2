"""Figures: drawn from results, and from nothing else."""
