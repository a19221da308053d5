"""Kernels below torch that give the same bytes on every CPU, and their check. `numerics` and `training` import it."""
