"""When something is due: cron expressions and presets, as people write them."""

from croniter import CroniterError, croniter

PRESETS = {"@quarterly": "0 0 1 */3 *"}
"""Those of Airflow that croniter does not know."""


def require_cron(text: str) -> str:
    """Return a cron expression or preset that comes due.

    Raises:
        ValueError: it never does, or cannot be read.
    """
    try:
        croniter(PRESETS.get(text, text)).get_next()
    except (CroniterError, ValueError, KeyError, IndexError) as error:
        raise ValueError(
            "not a cron expression that ever comes due; write five fields, such as 0 3 * * *, or "
            "@hourly, @daily, @weekly, @monthly, @quarterly, @yearly"
        ) from error
    return text
