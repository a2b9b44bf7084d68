"""Airflow wiring; no logic. One DAG of each kind per file in ``datasets/``."""
