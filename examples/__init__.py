"""Examples that are made by script: nothing here is fetched, nothing generated is committed."""
