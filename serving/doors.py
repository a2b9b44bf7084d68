"""Which path takes which role. A path that is not named here is for administrators only, so a
new route is closed until somebody decides otherwise."""

from pipelines.access.tokens import Role
from serving.openapi import ENDPOINTS

HEALTH = frozenset({"/livez", "/readyz", "/healthz", "/api/health"})
"""Open to all, for probes: they tell nothing but yes or no."""
PAGE = frozenset({"/"})
PAGE_FILES = "/web/"
"""The page's own files are open too: it has to be there before it can ask for a token, and holds
nothing but what everybody can read in the project."""
PREDICT = frozenset(
    {*(endpoint.path for endpoint in ENDPOINTS), "/docs", "/docs.json"}
    | {"/api/classes", "/api/classify"}
)
PREDICT_FILES = "/static_content/"
UPLOAD = frozenset({"/landing"})
"""For bringing images into the landing folder."""


def role_for(path: str) -> Role | None:
    """The least role that may ask a path; ``None`` if anybody may."""
    if path in HEALTH or path in PAGE or path.startswith(PAGE_FILES):
        return None
    if path in PREDICT or path.startswith(PREDICT_FILES):
        return Role.PREDICT
    if path in UPLOAD:
        return Role.UPLOAD
    return Role.ADMIN


def known(path: str) -> str:
    """The path if it is one of ours, else ``other``: a scan's paths are kept nowhere."""
    named = path in HEALTH | PAGE | PREDICT | UPLOAD | {"/metrics", "/schema.json"}
    return path if named else "other"
