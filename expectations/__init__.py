"""What the data must look like at each gate of the loop, as Great Expectations suites.

One file a gate. Each says which table it judges, builds its suite from a data set's spec, and
leaves the judging to `pipelines.data.checks.checks`. The ``description`` of an expectation is what
a person reads in Data Docs and in the task's log when it is not met. An expectation of severity
``warning`` is reported and never stops a run; every other one does.

Great Expectations takes seconds to import, so the suites import it when they are built.
"""
