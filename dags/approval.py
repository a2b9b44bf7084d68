"""The task that waits for a person: Airflow's own ``ApprovalOperator``, on our question."""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context, Param
from airflow.sdk.execution_time.hitl import HITLUser

from dags.callbacks import ApprovalWanted, task_failed
from pipelines.spec.operations import ApprovalSpec

ASKED = "{{ ti.xcom_pull(task_ids='ask')['%s'] }}"
RESPONSE = "{{ ti.xcom_pull(task_ids='approval', key='answer') }}"
"""Template of what was answered. Not the operator's output itself: a rejection has none, and skips
whatever comes directly after the operator; the answer is recorded in either case."""


class Approval(ApprovalOperator):
    """An ``ApprovalOperator`` whose answer can be read whatever it is."""

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Keep the answer, and go on as ever: a rejection ends here, with no output."""
        context["ti"].xcom_push(key="answer", value=event)
        return super().execute_complete(context=context, event=event)


def approval(spec: ApprovalSpec) -> ApprovalOperator:
    """Ask what the task ``ask`` has worded; no answer in time is a no.

    It holds no worker and no memory while it waits.
    """
    return Approval(
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
