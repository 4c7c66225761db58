"""Real services for tests: on private ports of 127.0.0.1, in scratch directories, gone afterwards."""
