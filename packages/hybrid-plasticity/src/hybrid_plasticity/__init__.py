"""Hybrid synaptic plasticity."""
