"""Spark as our stages use it: session, cluster, code for executors, errors."""
