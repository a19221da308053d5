"""MLflow's client and entities, imported under settings with which a dead server fails in seconds.

MLflow reads some of these settings when it is imported. The caller's values win.
"""

import os

os.environ |= {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
} | os.environ

from mlflow import MlflowClient, entities, models, pyfunc, types
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

__all__ = ["MlflowClient", "MlflowException", "entities", "get_artifact_repository", "models", "pyfunc", "types"]
