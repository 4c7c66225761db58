"""The limits around a job, and what happened when it met one."""
