"""The paper's claims, measured on finished runs."""

from sharpwave_shared.claims import Claim

CLAIMS: tuple[Claim, ...] = ()
