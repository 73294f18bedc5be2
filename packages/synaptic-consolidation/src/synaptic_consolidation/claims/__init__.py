"""What the paper claims, measured on results."""
