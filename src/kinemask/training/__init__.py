"""Training that knows steps, checkpoints and schedules, but no skeletons."""
