"""Recipes, steps, schedules, checkpoints, and the pretraining of a seed."""
