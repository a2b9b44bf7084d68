"""Values of the settings about Spark that are text: which are accepted."""

import re

LOCAL = re.compile(r"local(\[(\*|[1-9]\d*)(, *[1-9]\d*)?\])?")
STANDALONE = re.compile(r"spark://[\w.-]+:\d{1,5}(,[\w.-]+:\d{1,5})*")
EMBEDDED = ("standalone", "yarn")
MEMORY = re.compile(r"[1-9]\d*[mgt]")
FOLDER = re.compile(r"/.*|[a-z][a-z0-9]*://.+")


def master(text: str) -> str:
    """Where Spark works.

    Raises:
        ValueError: it is not a master that Medloop supports.
    """
    if text in EMBEDDED or LOCAL.fullmatch(text) or STANDALONE.fullmatch(text):
        return text
    raise ValueError(
        f"{text!r} is not a place where Spark works; write local, local[CORES], standalone, yarn "
        "or spark://HOST:PORT (docs/cluster.md)"
    )


def memory(text: str) -> str:
    """An amount of memory as Java takes it.

    Raises:
        ValueError: it is not one.
    """
    if MEMORY.fullmatch(text):
        return text
    raise ValueError(f"{text!r} is not an amount of memory; write 512m or 2g")


def folder(text: str) -> str:
    """An absolute path or a URI of a folder.

    Raises:
        ValueError: it is neither.
    """
    if FOLDER.fullmatch(text):
        return text
    raise ValueError(
        f"{text!r} is neither an absolute path nor a URI such as hdfs://HOST:PORT/logs"
    )
