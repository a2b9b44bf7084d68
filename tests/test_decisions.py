"""One decision rule: nothing but `operating_point.decide` turns probabilities into a class.

A figure that takes the likeliest class counts something else than the service answers wherever
thresholds decide. Found by reading the code: every way to take the largest of several values, and
scikit-learn's figures of decided classes. Each must be listed below with the reason why it does not
decide for a class of an image.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("pipelines", "serving", "dags", "stack", "expectations", "benchmarks", "docs/figures")
LARGEST = {"argmax", "nanargmax", "idxmax", "top_k", "nlargest", "argpartition"}
SCORES = {
    *("accuracy_score", "balanced_accuracy_score", "recall_score", "precision_score", "f1_score"),
    *("confusion_matrix", "classification_report", "matthews_corrcoef", "cohen_kappa_score"),
}
DEFINED = "defined by the largest probability, whichever class is decided for"
NUMERIC = "the largest of each row, to keep an exponential within range"
ELSEWHERE = "the largest of something else than the classes of an image"
BEFORE = "before any threshold is chosen"

RULES = {
    "pipelines/evaluation/operating_point.py": {
        "decide": "the one decision rule",
        "finding_share": "the likeliest finding against the likeliest other class",
        "youden": ELSEWHERE,
    },
    "pipelines/evaluation/metrics.py": {
        "measure": "counts `Decisions`",
        "_of_target": "counts `Decisions`",
        "confusion": "counts `Decisions`",
    },
    "pipelines/data/duplicates/clusters.py": {"_best_correlations": ELSEWHERE},
    "pipelines/evaluation/calibration.py": {
        "softmax": NUMERIC,
        "fit_temperature": NUMERIC,
        "calibration_figures": DEFINED,
        "reliability": DEFINED,
    },
    "pipelines/evaluation/weighted.py": {"_ece": DEFINED},
    "pipelines/evaluation/gradcam.py": {"_vector": ELSEWHERE},
    "pipelines/evaluation/selective.py": {"resampled_accuracy": ELSEWHERE},
    "pipelines/evidence/attention_pictures.py": {"_tile": ELSEWHERE},
    "pipelines/evidence/confident.py": {"suggested": DEFINED, "margin": DEFINED},
    "pipelines/evidence/pointing.py": {"pointing": ELSEWHERE},
    "pipelines/features/texture.py": {"coarseness": ELSEWHERE},
    "pipelines/imaging/tones.py": {"normalise": ELSEWHERE},
    "pipelines/imaging/traces.py": {"_dark": ELSEWHERE},
    "pipelines/monitoring/judge.py": {"require_comparable": ELSEWHERE},
    "pipelines/monitoring/statistics.py": {"kolmogorov_smirnov": ELSEWHERE},
    "pipelines/profile/shift.py": {"shift": ELSEWHERE},
    "pipelines/release/select.py": {"winner": "the best candidate"},
    "pipelines/studies/pictures.py": {"_parallel": ELSEWHERE},
    "pipelines/training/importance.py": {"importance.right": BEFORE},
    "benchmarks/drift_report.py": {"windows_until_alarm": ELSEWHERE},
    "benchmarks/examination.py": {"plain_lit": ELSEWHERE},
    "benchmarks/heat_on_lesions.py": {"_compare": ELSEWHERE},
}
ALLOWED = {(path, function) for path, functions in RULES.items() for function in functions}


class Largest(ast.NodeVisitor):
    """Collects the functions of a file that take the largest of something, or score a class."""

    def __init__(self, *, rows: bool) -> None:
        self.rows = rows
        self.names: list[str] = []
        self.found: set[str] = set()

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.ClassDef) -> None:
        self.names.append(node.name)
        self.generic_visit(node)
        self.names.pop()

    visit_ClassDef = visit_FunctionDef

    def visit_Call(self, node: ast.Call) -> None:
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        keywords = {keyword.arg for keyword in node.keywords}
        largest_of_pairs = name == "max" and "key" in keywords
        largest_of_rows = self.rows and name in ("max", "amax") and "axis" in keywords
        if name in LARGEST | SCORES or largest_of_pairs or largest_of_rows:
            self.found.add(".".join(self.names))
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        last_of_order = isinstance(node.value, ast.Call) and "argsort" in ast.dump(node.value.func)
        if last_of_order and "-1" in ast.unparse(node.slice):
            self.found.add(".".join(self.names))
        self.generic_visit(node)


def decisions_in(root: Path) -> Iterator[tuple[str, str]]:
    """(file, function) of each place that takes the largest of several values."""
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            seen = Largest(rows=not path.is_relative_to(root / "pipelines/imaging"))
            seen.visit(ast.parse(path.read_text("utf-8")))
            yield from ((path.relative_to(root).as_posix(), name) for name in sorted(seen.found))


def test_only_the_operating_point_decides_for_a_class() -> None:
    found = set(decisions_in(ROOT))

    new = found - ALLOWED
    assert not new, (
        "Count right and wrong answers by `pipelines.evaluation.decisions.Decisions`, or list the "
        f"function with a reason in {Path(__file__).name}: {sorted(new)}"
    )
    assert not ALLOWED - found, "listed, but not there any more"
