"""How the runs are laid out for comparison in MLflow's page: a view that everybody finds in its menu "Views".

The page keeps a view as JSON in a tag of the experiment, with the names that are used here (MLflow 3.17). Where another
version knows other names it falls back to its own layout.
"""

import json
from typing import Any

KEY = "autoencoder"
TAG = f"mlflow.sharedViewState.{KEY}"
BEST = "metrics.`test/final_mse`"
COLUMNS = [
    "params.`model.name`",
    "params.`model.code_dimensions`",
    "params.`corruption.name`",
    "params.`constraint.name`",
    "params.`train.learning_rate`",
    BEST,
    "metrics.`test/ratio_to_optimum`",
    "metrics.`test/equivalent_rank`",
    "metrics.`test/neighbour_error`",
    "metrics.`pca/directions_captured`",
]

OBJECTIVE = "validation/final_mse"
SEARCHED = ["model.code_dimensions", "train.learning_rate", "model.hidden", "constraint.strength"]  # by sweeps/*.yaml


def tag() -> str:
    """The value of the tag: the best run first, its figures beside those that differ, and the reconstructions."""
    state = {
        "orderByKey": BEST,
        "orderByAsc": True,
        "selectedColumns": COLUMNS,
        "columnOrder": [BEST],
        "isAccordionReordered": True,  # else the sections are sorted by name
        "compareRunSections": [
            _section("comparison", "Comparison"),
            _section("images", "Reconstructions of the same test images", columns=1, cardHeight=400),
            _section("search", "Search: all params at once", columns=1, cardHeight=400),
            _section("each", "Search: param by param"),
        ],
        "compareRunCharts": [
            _chart("comparison", "LINE", metricKey="test/mse", scaleType="log", lineSmoothness=0),
            _chart("comparison", "BAR", metricKey="test/final_mse"),
            _chart("comparison", "BAR", metricKey="test/ratio_to_optimum"),
            _chart("images", "IMAGE", imageKeys=["reconstructions"], step=0, showRunParams=False),
            _chart("search", "PARALLEL", selectedParams=SEARCHED, selectedMetrics=[OBJECTIVE], showAllRuns=False),
            *(_scatter(param) for param in SEARCHED),
        ],
    }
    return json.dumps({"name": "best first", "createdAt": 0, "state": json.dumps(state)})


def link(server: str, experiment: str) -> str:
    """The address of the view on `server`, as charts."""
    query = f"workflowType=machine_learning&compareRunsMode=CHART&viewStateShareKey={KEY}"
    return f"{server}/#/experiments/{experiment}/runs?{query}"


def _section(uuid: str, name: str, **more: Any) -> dict[str, Any]:
    return {"uuid": uuid, "name": name, "display": True, "isReordered": True, "deleted": False} | more


def _scatter(param: str) -> dict[str, Any]:
    axes = {"xaxis": {"key": param, "type": "PARAM"}, "yaxis": {"key": OBJECTIVE, "type": "METRIC"}}
    return _chart("each", "SCATTER", **axes) | {"uuid": f"SCATTER {param}"}


def _chart(section: str, kind: str, **more: Any) -> dict[str, Any]:
    uuid = f"{kind} {more.get('metricKey', '')}"
    return {"uuid": uuid, "type": kind, "metricSectionId": section, "runsCountToCompare": 10, "deleted": False} | more
