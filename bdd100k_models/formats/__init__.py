"""Readers and writers of the BDD100K and Scalabel formats."""
