"""The assets of the loop, each named once."""

from airflow.sdk import Asset


def snapshot(dataset: str) -> Asset:
    """The newest snapshot of originals."""
    return Asset(name=f"{dataset}_snapshot", uri=f"medloop://{dataset}/snapshot")


def prepared(dataset: str) -> Asset:
    """The newest model-ready shards."""
    return Asset(name=f"{dataset}_prepared", uri=f"medloop://{dataset}/prepared")


def champion(dataset: str) -> Asset:
    """The version in service; updated only when another one is promoted."""
    return Asset(name=f"{dataset}_champion", uri=f"medloop://{dataset}/champion")
