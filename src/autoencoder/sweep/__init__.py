"""Search over params, on one machine or many; every state is a DVC experiment. Only the command line imports it."""
