"""The command line, and the embedded platform that `bulkhead up` runs."""
