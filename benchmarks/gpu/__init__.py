"""Checks and speed of training and captioning on a GPU."""
