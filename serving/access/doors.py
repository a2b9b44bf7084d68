"""Which path takes which role. A path that is not named here is for administrators only, so a
new route is closed until somebody decides otherwise."""

from collections.abc import Mapping

from pipelines.access.tokens import Role
from serving.openapi import ENDPOINTS

ROLES: Mapping[str, Role | None] = {
    # probes hear nothing but yes or no
    **dict.fromkeys(("/livez", "/readyz", "/healthz"), None),
    # the page has to be there before it can ask for a token; it holds no data
    "/": None,
    # what BentoML's clients read before they ask
    **dict.fromkeys(("/docs", "/docs.json", "/schema.json"), Role.PREDICT),
    **{endpoint.path: endpoint.role for endpoint in ENDPOINTS},
    "/metrics": Role.METRICS,
}
"""Path → the least role that may ask it; ``None`` if anybody may."""
FOLDERS: Mapping[str, Role | None] = {
    "/web/": None,
    "/static_content/": Role.PREDICT,
    "/landing/": Role.UPLOAD,
}
"""The same of all paths that begin so: the page's own files, Swagger's, and the data sets."""


def role_for(path: str) -> Role | None:
    """The least role that may ask a path; ``None`` if anybody may."""
    if path in ROLES:
        return ROLES[path]
    for folder, role in FOLDERS.items():
        if path.startswith(folder):
            return role
    return Role.ADMIN


def known(path: str) -> str:
    """The path if it is one of ours, else ``other``: what a scan asks for is kept nowhere."""
    if path.startswith("/landing/"):
        return "/landing/{dataset}"
    return path if path in ROLES else "other"
