"""Who may ask which route, written out: what the routes declare is compared with it."""

from pipelines.access.tokens import Role

ROLES: dict[str, Role | None] = {
    # probes hear nothing but yes or no
    **dict.fromkeys(("/livez", "/readyz", "/healthz", "/api/health"), None),
    # the page has to be there before it can ask for a token; it holds no data
    **dict.fromkeys(("/", "/web/{name:path}"), None),
    **dict.fromkeys(("/predict", "/predict/batch", "/gradcam", "/gradcam/batch"), Role.PREDICT),
    **dict.fromkeys(("/explain", "/classes", "/model", "/card"), Role.PREDICT),
    **dict.fromkeys(("/api/classes", "/api/classify"), Role.PREDICT),
    **dict.fromkeys(("/docs", "/docs.json", "/static_content/{name:path}"), Role.PREDICT),
    **dict.fromkeys(("/samples", "/samples/{dataset}/{number}"), Role.PREDICT),
    **dict.fromkeys(("/jobs", "/jobs/{job}", "/jobs/{job}/result"), Role.PREDICT),
    # only the installation's own token is asked with here
    "/jobs/{job}/answer": Role.ADMIN,
    # what BentoML's clients read before they ask
    "/schema.json": Role.PREDICT,
    **dict.fromkeys(("/landing", "/landing/{dataset}"), Role.UPLOAD),
    "/metrics": Role.METRICS,
}
"""Route → the least role that may ask it; ``None`` if anybody may."""
