"""The sandbox: limits on the processes that run native code, and what those processes use."""
