"""One spelling of a name: the same letters may be written with different code points.

macOS stores ``é`` as ``e`` and an accent (NFD), Linux and Windows as one code point (NFC). Names of
folders, files, classes, columns and IDs are compared in NFC.
"""

import re
import unicodedata


def nfc(name: str) -> str:
    """A name in Unicode's composed form."""
    return unicodedata.normalize("NFC", name)


def folded(name: str) -> str:
    """A name without what people get wrong: capital letters, spaces, ``_`` and ``-``."""
    return re.sub(r"[\s_-]", "", nfc(name)).casefold()
