"""What a trained model does and how good it is, in numbers and pictures. Only the stages and `using` import it."""
