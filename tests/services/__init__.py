"""Real services for tests, on private loopback ports and in temporary directories."""
