"""Readers, checks, scenes, batches and the feature cache."""
