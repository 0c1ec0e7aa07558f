"""Test and train, shared by all tasks."""
