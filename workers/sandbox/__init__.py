"""Where native code runs: processes with limits, and what they use."""
