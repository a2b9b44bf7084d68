"""Airflow reads its home when it is imported: one of the tests' own, never the user's."""

import os
import tempfile

os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="medloop-airflow-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "false"
