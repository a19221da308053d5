"""A linear autoencoder, from the bytes of MNIST to a tracked, reproducible result."""
