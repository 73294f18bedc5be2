"""The figures of the experiments, drawn from their results and nothing else."""
