"""Benchmarks against real services of their own. Each script prints one JSON object as its last line of output."""
