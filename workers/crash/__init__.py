"""Why a job's process died: flight recorder, causes, crash reports, explanations."""
