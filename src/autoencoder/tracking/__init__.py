"""MLflow as a mirror of the record, during and after training. Only the command line and the stages import it."""
