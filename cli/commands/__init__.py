"""The commands of `bulkhead`, one module each."""
