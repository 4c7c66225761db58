"""Why a job's process died: flight recorder, crash reports, explanations. `workers.sandbox.causes` has the causes."""
