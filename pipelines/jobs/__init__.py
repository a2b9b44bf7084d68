"""Jobs: images that the service answers later. Their table in PostgreSQL, and what works them off.

The service takes a job and gives its answer (`serving.jobs`); PgQueuer, a library, keeps the
order, the locks and the retries (docs/decisions/queue.md).
"""
