"""Removing images from everything that Medloop keeps: ``medloop erase`` (docs/erasure.md).

    traces.py       which images are meant, and by what they are known: hashes and paths
    piece.py        one thing that has to change: what, where, how many images
    parquet.py      tables without their rows, packs without their bytes
    texts.py        JSON, CSV and logs without their lines
    stored.py       what the store holds, by kind of file
    delta.py, manifests.py   files of Delta tables; manifests that stay right
    home.py         what the home holds, by kind of file
    tracked.py      what MLflow holds, by kind of file
    bundles.py      bundles, sealed again with other canary images
    lineage.py      which versions have learned from the images, and what else remains
    journal.py      how far an erasure has come, so that a killed one goes on
    certificate.py  what was removed, what remains and why; JSON and a page
    erase.py        finds, asks, removes, certifies

An erasure works by kind of file, not by stage: each Parquet, JSON, CSV or HTML file below a data
set's folder is read, whatever wrote it. What is made of others goes before what it is made of, and
what says which images are meant goes last, so a killed erasure finds the rest again.
"""
