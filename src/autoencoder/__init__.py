"""Autoencoders, from the files of a data set to a tracked, reproducible result."""
