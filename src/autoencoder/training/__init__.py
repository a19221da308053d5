"""How weights are found: loss, steps, the loop, and how it survives a kill. `analysis` and the stages import it."""
