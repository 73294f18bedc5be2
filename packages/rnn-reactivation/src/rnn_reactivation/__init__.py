"""Offline reactivation in recurrent networks."""
