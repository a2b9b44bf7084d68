"""Questions about a candidate that take several trainings to answer.

    study.py             the question as a run in MLflow, each training as a run nested below it
    judged.py            one training on a subset, and what its model says about the rest
    space.py             which settings a search tries
    tune.py              which settings are best?
    learning_curve.py    would more images help?
    cross_validation.py  how much do the figures depend on who happened to be held out?

Every one of them looks at training and validation images only: the test set is not asked. Each
training that is done stands in MLflow, so a study that was killed goes on with the next one.
"""
