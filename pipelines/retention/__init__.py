"""What may be removed, what must stay and why: ``medloop prune`` (docs/retention.md).

    item.py       one thing that may be removed: its kind, age, size, pin
    pins.py       versions in use, and what of the store they need
    stored.py     what the store holds: outputs of stages, samples, abandoned staging
    bundles.py    local copies of bundles
    pages.py      results of data checks, and their pages
    files.py      the cache, logs and unfinished work of the home
    scheduler.py  Airflow's records of past runs
    turn.py       one prune, or backup, at a time
    prune.py      decides and removes

Nothing is removed unless its name and its manifest prove that Medloop made it, and never through
a symbolic link.
"""
