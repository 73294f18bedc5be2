"""No claim speaks of this."""

CLAIMS = ()
