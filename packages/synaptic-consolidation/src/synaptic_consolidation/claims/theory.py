"""No claim is about the theory alone."""

from sharpwave_shared.claims import Claim

CLAIMS: list[Claim] = []
