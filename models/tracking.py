"""The log of a training run: a local folder, and MLflow where a tracking URI is set."""

import os
from pathlib import Path
from typing import Any

import orjson

TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"


class RunsError(RuntimeError):
    """A run that cannot be logged where it was asked for."""


def log_run(
    folder: Path, experiment: str, name: str, parameters: dict[str, Any], metrics: dict[str, float]
) -> Path:
    """Write `metrics.json` into a folder of this name, and log to MLflow if `MLFLOW_TRACKING_URI` is set.

    `experiment` is MLflow's name for what is trained, such as `storepulse-next-action`.

    Returns the file. Raises `RunsError` if a tracking URI is set and MLflow is not installed.
    """
    path = folder / name / "metrics.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {"parameters": parameters, "metrics": metrics}
    path.write_bytes(orjson.dumps(plain, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")
    if os.environ.get(TRACKING_VARIABLE):
        _log_to_mlflow(experiment, name, parameters, metrics, path)
    return path


def _log_to_mlflow(
    experiment: str, name: str, parameters: dict[str, Any], metrics: dict[str, float], path: Path
) -> None:
    try:
        import mlflow
    except ModuleNotFoundError as exc:
        raise RunsError(
            f"{TRACKING_VARIABLE} is set but MLflow is missing: install storepulse[mlflow]"
        ) from exc
    mlflow.set_experiment(experiment)
    with mlflow.start_run(run_name=name):
        mlflow.log_params(parameters)
        mlflow.log_metrics(metrics)
        mlflow.log_artifact(str(path))
