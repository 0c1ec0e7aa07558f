"""The published models as data."""
