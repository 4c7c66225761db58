"""Live progress of jobs: from the broker to event streams."""
