"""Where everything lies, relative to the repository's root."""

from pathlib import Path

PARAMS = Path("params.yaml")
PIPELINE = Path("dvc.yaml")
LOCK = Path("dvc.lock")
REQUIREMENTS = Path("requirements.lock")

CODE = ("src", "stages")
EXAMPLES = Path("examples")
SWEEPS = Path("sweeps")
SETS = Path("data/sets")  # a folder per data set

# The record: what the stages write, and DVC hashes.
IMAGES = Path("data/images.safetensors")
OPTIMUM = Path("models/pca.safetensors")
MODEL = Path("models/autoencoder.safetensors")
TRAINING = Path("metrics/training.csv")
STEPS = Path("metrics/steps.csv")
PIXELS = Path("metrics/pixels.json")
EVALUATION = Path("metrics/evaluation.json")
FAMILY = Path("metrics/family")  # tables that only some models have
ANGLES = FAMILY / "principal_angles.csv"  # linear models
TEST_ERRORS = Path("metrics/test_errors.csv")
FIGURES = Path("figures")
FAMILY_FIGURES = FIGURES / "family"  # and pictures
GRID = FIGURES / "grid.png"  # made for places where pictures are small
REPORT = Path("report.html")
TRACKED = Path("mlruns/tracked")  # beside the store's artifacts: when those are removed, DVC runs `track` again

# Git-ignored, and no part of the record.
WORK = Path(".autoencoder")
DOWNLOADS = WORK / "downloads"  # files that were verified once are not fetched again
NO_MIRROR = WORK / "no-mirror"  # present if the stage `download` reached no address, and nothing else went wrong
RESUME = WORK / "resume"
KEPT_IN = "AUTOENCODER_RESUME"  # this variable names a folder in which the last state of a training stays
TRAINER_LOCK = WORK / "train.lock"
JOURNALS = WORK / "journal"
SWEEP_WORK = WORK / "sweep"  # workspaces of a sweep's states
FOLLOWER_LOCK = JOURNALS / "follower.lock"
