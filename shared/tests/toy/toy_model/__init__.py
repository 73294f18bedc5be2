"""A package in miniature: random walks."""
