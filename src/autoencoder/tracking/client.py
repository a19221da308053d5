"""MLflow's client and entities, imported under settings with which a dead server fails in seconds.

MLflow reads some of these settings when it is imported. The caller's values win.
"""

import os

for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}.items():
    os.environ.setdefault(_name, _value)

from mlflow import MlflowClient, pyfunc  # noqa: E402
from mlflow.entities import (  # noqa: E402
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModel,
    LoggedModelOutput,
    Metric,
    Param,
    Run,
    RunTag,
    ViewType,
)
from mlflow.entities.model_registry import ModelVersion  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.models import Model, ModelSignature  # noqa: E402
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository  # noqa: E402
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository  # noqa: E402
from mlflow.store.entities import PagedList  # noqa: E402
from mlflow.store.tracking import SEARCH_MAX_RESULTS_DEFAULT  # noqa: E402
from mlflow.types import Schema, TensorSpec  # noqa: E402

__all__ = [
    "SEARCH_MAX_RESULTS_DEFAULT",
    "Dataset",
    "DatasetInput",
    "InputTag",
    "LocalArtifactRepository",
    "LoggedModel",
    "LoggedModelOutput",
    "Metric",
    "MlflowClient",
    "MlflowException",
    "Model",
    "ModelSignature",
    "ModelVersion",
    "PagedList",
    "Param",
    "Run",
    "RunTag",
    "Schema",
    "TensorSpec",
    "ViewType",
    "get_artifact_repository",
    "pyfunc",
]
