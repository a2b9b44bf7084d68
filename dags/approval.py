"""The task that waits for a person: Airflow's own ``ApprovalOperator``, on our question."""

from datetime import timedelta

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param
from airflow.sdk.execution_time.hitl import HITLUser

from dags.callbacks import ApprovalWanted, task_failed
from pipelines.spec.operations import ApprovalSpec

ASKED = "{{ ti.xcom_pull(task_ids='ask')['%s'] }}"
RESPONSE = "{{ ti.xcom_pull(task_ids='approval') }}"
"""Template of what was answered. Not the operator's output itself: a rejection skips whatever
comes directly after the operator, and the answer is recorded in either case."""


def approval(spec: ApprovalSpec) -> ApprovalOperator:
    """Ask what the task ``ask`` has worded; no answer in time is a no.

    It holds no worker and no memory while it waits.
    """
    return ApprovalOperator(
        task_id="approval",
        subject=ASKED % "subject",
        body=ASKED % "body",
        defaults=ApprovalOperator.REJECT,
        response_timeout=timedelta(hours=spec.hours),
        assigned_users=[HITLUser(id=user, name=user) for user in spec.users] or None,
        notifiers=[ApprovalWanted()],
        params={"note": Param("", type=["null", "string"], title="Why")},
        on_failure_callback=task_failed,
        doc_md=approval.__doc__,
    )
