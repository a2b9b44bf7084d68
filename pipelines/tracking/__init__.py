"""Everything that talks to MLflow.

client       the connection, its errors, experiments, artifacts
runs         a candidate's run: found by fingerprint, begun, resumed, its params and metrics
inputs       what a run was trained on: snapshot, split and training set with its digest
environment  what a run was trained with: code, packages, machine
keras_models a run's Keras model, logged and fetched
versions     versions and aliases of a registered model
"""
