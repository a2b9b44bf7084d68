"""Numbers that describe each prepared image, computed by Spark and kept in the store for reuse.

    texture.py   shades and texture of one picture: statistics that somebody thought of
    small.py     a picture as a short row of shades
    network.py   a pretrained backbone as the executors run it
    worker.py    what runs in the executors: parts of prepared images in, their features out
    extract.py   the stage, and its readers: ``<dataset>/features/<key>/<part>.parquet``

docs/evidence/profile.md says how far a classifier gets with them.
"""
