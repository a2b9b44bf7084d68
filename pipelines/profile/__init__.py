"""What the prepared images look like, class by class, before any network sees them.

    sums.py        shades summed up pixel by pixel, by Spark in one pass over the prepared images
    facts.py       all that the pictures and the page are drawn from
    alike.py       pairs of images from two splits that a pretrained network takes for the same
    shift.py       how far one set of images is from another, by these facts alone
    pictures.py    mean, variability and difference images, histograms, montages
    charts.py      texture by class, the map of deep features
    page.py        the page that shows and explains them
    look.py        the stage: ``<dataset>/data_profiles/<id>/``
    publish.py     the same as a run in MLflow

docs/evidence/profile.md shows the pictures and says what to look for.
"""
