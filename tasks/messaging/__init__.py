"""Talking to the broker: connections, confirmed publishing, topology, dead letters, progress."""
