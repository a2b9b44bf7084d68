"""Questions that parts answer over HTTP."""

from typing import Any

import httpx

PATIENCE = 3.0
"""Seconds to wait for one answer."""


def http_obstacle(url: str, *, verify: bool = True) -> str | None:
    """``None`` when a GET is answered with 200; otherwise what is in the way.

    Args:
        url: what to ask.
        verify: whether a certificate that is not trusted is in the way.
    """
    answer = _get(url, verify=verify)
    if isinstance(answer, str):
        return answer
    if answer.status_code == httpx.codes.OK:
        return None
    return f"{url} answers {answer.status_code}"


def http_json(url: str) -> Any:
    """The JSON that a GET is answered with; ``None`` while there is no such answer."""
    answer = _get(url)
    if isinstance(answer, str) or answer.is_error:
        return None
    try:
        return answer.json()
    except ValueError:
        return None


def jmx_bean(address: str, name: str) -> dict[str, Any] | None:
    """What a Hadoop server at ``address`` says of itself; ``None`` while it does not answer.

    Args:
        address: the URL of its HTTP port.
        name: the bean's, as ``NameNode,name=NameNodeInfo``.
    """
    answer = http_json(f"{address}/jmx?qry=Hadoop:service={name}")
    beans: list[dict[str, Any]] = answer["beans"] if answer else []
    return beans[0] if beans else None


def _get(url: str, *, verify: bool = True) -> httpx.Response | str:
    # Reading what certificates to trust takes 40 ms, for naught where there is none.
    verify = verify and url.startswith("https:")
    try:
        return httpx.get(url, timeout=PATIENCE, trust_env=False, verify=verify)
    except httpx.ConnectError:
        return "no answer yet"
    except httpx.HTTPError as error:
        return f"no answer yet ({type(error).__name__})"
