"""No DAG: this file fails to import for as long as a data set's file is invalid.

Airflow shows that on every page (*DAG import errors*), and the other files go on making the DAGs of
all other data sets. People hear of it by an alert.
"""

from pipelines.alerts.specs import report_invalid_specs
from pipelines.errors import SpecError
from pipelines.settings import get_settings
from pipelines.spec import invalid_specs

wrong = invalid_specs()
report_invalid_specs(get_settings(), wrong)
if wrong:
    raise SpecError("\n".join(str(error) for error in wrong.values()))
