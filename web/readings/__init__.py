"""Latest readings of machines."""
