"""What the Sharpwave packages share: seeding, devices, data, runs, figures, claims, options."""
