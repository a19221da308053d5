"""The tags of a run, for what MLflow has no field for. docs/tracking.md lists them."""

STATE = "autoencoder.state"  # the key of the trained state (see `record.identity`)
CODE = "autoencoder.code"  # the hash of the code that trained it
TRAINING_KEY = "autoencoder.training_key"  # version 1 had this one in the place of both
MODEL_MD5 = "autoencoder.model_md5"
MODEL_SHA256 = "autoencoder.model_sha256"
DIRTY = "autoencoder.dirty"
DIFFERS = "autoencoder.not_reproduced_by"
REPRODUCED = "autoencoder.reproduced"
ERROR = "autoencoder.error"
SECONDS = "autoencoder.training_seconds"
STARTED_BY = "autoencoder.started_by"
WORKSPACE = "autoencoder.workspace"  # with a hash of the workspace's name behind it
SWEEP = "autoencoder.sweep."  # before the name of a sweep that has the state, as the experiment that the value names
MACHINE, VERSION = "machine.", "version."  # before the name of a fact

# MLflow's own. Its page does not show those that begin with `mlflow.`.
COMMIT = "mlflow.source.git.commit"
NOTE = "mlflow.note.content"
USER = "mlflow.user"
IMAGES = "mlflow.loggedImages"
SOURCE = {"mlflow.source.name": "dvc.yaml", "mlflow.source.type": "LOCAL"}
FILES = "mlflow.autoencoder.files"  # of a model: the MD5 of every file, as JSON
DIFF = "mlflow.autoencoder.diff"  # the MD5 of uncommitted.diff
BEGAN = "mlflow.autoencoder.began"  # when the training of the journal began that was followed last
