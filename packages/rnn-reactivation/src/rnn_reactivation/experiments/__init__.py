"""What can be run: training networks, and analysing them awake and asleep."""
