"""Airflow's scheduler, with the libraries of our tasks already imported.

The scheduler's workers fork a process for each task. What the scheduler has imported, a task need
not import again: seconds of processor time each, for MLflow and Great Expectations most of all.
Only libraries are imported here: our own code is read by each task, so that an edit counts at once.
TensorFlow starts the threads that would not survive a fork, and takes the GPU, with its first
operation; the scheduler runs none. It costs the scheduler 160 MB that a running task shares.

    python -m stack.preload scheduler [OPTION ...]    # as: airflow scheduler [OPTION ...]
"""

import importlib

LIBRARIES = (
    "pandas",
    "pyarrow.parquet",
    "scipy.stats",
    "sklearn.metrics",
    "mlflow",
    "mlflow.artifacts",
    "great_expectations",
    "great_expectations.expectations",
    "pyspark.sql",
    "matplotlib.figure",
    "pydicom",
    "cv2",
    "PIL.Image",
    "hdfs",
    "tensorflow",
    "keras",
)


def main() -> None:
    """Import the libraries, then be the ``airflow`` command."""
    for library in LIBRARIES:
        importlib.import_module(library)
    from airflow.__main__ import main as airflow

    airflow()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
