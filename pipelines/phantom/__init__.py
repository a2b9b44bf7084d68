"""Synthetic head phantoms: scans of nobody, for the offline demonstration and the tests.

anatomy (who) + lesion (what) → draw (one slice) → landing (a folder of files, faults included)
"""

from pipelines.phantom.landing import PhantomReport, generate

__all__ = ["PhantomReport", "generate"]
