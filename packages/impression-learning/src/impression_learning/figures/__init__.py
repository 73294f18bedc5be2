"""Figures."""


def draw(run, formats):
    return []
