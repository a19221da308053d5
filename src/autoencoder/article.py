"""What the article *Autoencoder Fundamentals* printed."""

# The "average loss" on the test set after each epoch: mse / 100, because the sum of the means of batches of 100 images
# is divided by the number of images.
TEST_LOSSES = (
    *(0.0025, 0.0024, 0.0021, 0.0019, 0.0017, 0.0016, 0.0015, 0.0014, 0.0014, 0.0013),
    *(0.0013, 0.0012, 0.0012, 0.0012, 0.0011, 0.0011, 0.0011, 0.0011, 0.0010, 0.0010),
)
DIVISOR = 100
DECIMALS = 4
DATASET = "mnist"
CODE_DIMENSIONS = 32
