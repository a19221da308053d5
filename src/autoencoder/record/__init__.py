"""What DVC and git recorded, and how to run it again. Only `tracking`, the command line and the stages import it."""
