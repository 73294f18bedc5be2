"""What the published figures of the release claim, measured on results."""
