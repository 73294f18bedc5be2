"""The paper's claims, measured on results."""
