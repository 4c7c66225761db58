"""Parts of `benchmarks.leaks`: jobs that leak, the cost of each instrument, and the tools it is compared with."""
