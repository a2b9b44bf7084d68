"""Every place that deletes or replaces files is listed here, with what makes it safe.

A new one must be added with its guard: whose is what it deletes, and how does the code know?
Prefer `pipelines.atomic.written_whole` and `Store.commit`, which are safe already.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("pipelines", "serving", "stack", "dags", "benchmarks")

OWN_NAME = "a temporary name that this call has just made, with random digits in it"
ONE_WORKER = "a folder of work below the home, named by a fingerprint, and locked by `alone`"
TEMPORARY = "a store in a temporary folder that the benchmark itself has made"
NO_FILE = "no file: an alias or a tag in MLflow, or a name in a table"
STORE = "the store's own primitive: Store.delete refuses its root and paths that lead out of it"

GUARDS = {
    "pipelines/atomic.py::written_whole": OWN_NAME,
    "pipelines/atomic.py::make_private": OWN_NAME,
    "pipelines/backup/ownership.py::remove_expired": (
        "only backups whose sealed manifest carries this installation's ID; never the newest"
    ),
    "pipelines/backup/ownership.py::remove_unfinished": (
        "only a hidden folder whose note or manifest carries this installation's ID, under the lock"
    ),
    "pipelines/backup/ownership.py::_remove": (
        "only files that the manifest lists, inside the backup, through no link; folders if empty"
    ),
    "pipelines/backup/take.py::_beside": "the folder that this backup has made: it must not exist",
    "pipelines/data/checks/checks.py::_check": (
        "the result of the same check, named by a fingerprint"
    ),
    "pipelines/spark/class_archive.py::ClassArchive.keep": OWN_NAME,
    "pipelines/spark/class_archive.py::ClassArchive._remove_old": (
        "archives of Spark's classes, by their prefix: any session makes them again"
    ),
    "pipelines/data/checks/data_docs.py::DataDocs.remove": (
        "a folder of a run below home/expectations and home/data_docs, through no link"
    ),
    "pipelines/data/split/division.py::draw": NO_FILE,
    "pipelines/data/split/division.py::source_of_cluster": NO_FILE,
    "pipelines/data/packing.py::upload_pack": "a pack that was made in a temporary folder",
    "pipelines/retention/packs.py::_remove_unnamed": (
        "a pack that no table names, read again, and that was not written meanwhile"
    ),
    "pipelines/data/prepare/merging.py::_retire": (
        "the listing of a part, once another part that holds its images is listed"
    ),
    "pipelines/phantom/landing.py::generate": "replaces an empty folder only",
    "pipelines/data/input/cache.py::_fetch_part": "its own download, once it is unpacked",
    "pipelines/data/split/migrate.py::_import": "a split of layout 2 whose rows are in the table",
    "pipelines/data/migrate.py::migrate": "files of the first layout whose rows are in the tables",
    "pipelines/data/migrate.py::_line": "a snapshot of the first layout that lost its number",
    "pipelines/data/folders/hdfs.py::HdfsFolder.add": OWN_NAME,
    "pipelines/data/folders/local.py::LocalFolder.add": OWN_NAME,
    "pipelines/erasure/prepared.py::exchange": (
        "a part and its listing, once those without the images are in the store"
    ),
    "pipelines/erasure/bundles.py::MlflowBundle.seal_again": (
        "erased canary images of a bundle in MLflow, once its manifest lists others"
    ),
    "pipelines/erasure/bundles.py::_remove_card": "a copy of a model card that MLflow has",
    "pipelines/erasure/bundles.py::_renew": (
        "a bundle of the home whose copy without erased images is whole, under the folder's lock"
    ),
    "pipelines/erasure/bundles.py::seal_again": "erased canary images of a copy of a bundle",
    "pipelines/erasure/tracked.py::Tracked._untag": NO_FILE,
    "pipelines/tracking/artifacts.py::Artifacts.delete": (
        "artifacts of a data set's runs that an erasure names: they show an erased image"
    ),
    "pipelines/erasure/delta.py::Parts.exchange": (
        "a file of a Delta table whose newest version lists another one in its place"
    ),
    "pipelines/erasure/home.py::_unlink": "pages and overlays by their known names, of a data set",
    "pipelines/erasure/journal.py::Journal.close": "its own journal, once all is removed",
    "pipelines/erasure/stored.py::Stored._delete": (
        "a profile of prepared images that held an erased image: below <dataset>/data_profiles"
    ),
    "pipelines/erasure/stored.py::Stored._rewrite": (
        "a file in a Delta table's folder that holds an erased image and that no version lists"
    ),
    "pipelines/layout.py::_write": "layout.json of the home or the store, atomically",
    "pipelines/monitoring/compact.py::compact": "samples that were merged into a file just placed",
    "pipelines/monitoring/compact.py::_clear": "samples that a merged file says it stands for",
    "pipelines/monitoring/compact.py::_delete": "names of samples that its two callers have read",
    "pipelines/monitoring/state.py::keep": "states before the last two, under a lock",
    "pipelines/release/build.py::build_bundle": (
        "its own part; the target only if it is a bundle (bundle.json), else the rename fails"
    ),
    "pipelines/release/card/beside.py::fetch": "the card that belongs to this bundle's version",
    "pipelines/release/precision.py::quantise": "files of a bundle in the making, in its own part",
    "pipelines/release/auto_rollback.py::_forget_previous": NO_FILE,
    "pipelines/release/registry.py::drop_challenger": NO_FILE,
    "pipelines/release/registry.py::_download": (
        "home/bundles/<dataset>/<version>-<run> that is not whole, under the lock of the folder"
    ),
    "pipelines/retention/stored.py::_remove_unlisted": (
        "a file of a table's folder, a day old, that the table does not list"
    ),
    "pipelines/retention/bundles.py::_remove": (
        "a bundle that names its data set and version, and that MLflow has; its card"
    ),
    "pipelines/retention/files.py::clear_empty_folders": "empty folders of the cache and the logs",
    "pipelines/retention/files.py::remove_folder": (
        "what its callers prove: work that no process holds the lock of, or a bundle"
    ),
    "pipelines/retention/files.py::_remove_aside": "what a removal has renamed away before",
    "pipelines/retention/files.py::_remove_file": (
        "files of the cache and of logs by their known names, unused since they were looked at"
    ),
    "pipelines/retention/files.py::_remove_lock": "a lock file that this call holds",
    "pipelines/retention/stored.py::_remove": (
        "an output whose manifest names this very folder, or samples by their names; no link"
    ),
    "pipelines/segmentation/segmenter.py::_fold": ONE_WORKER,
    "pipelines/segmentation/segment.py::run": ONE_WORKER,
    "pipelines/storage/base.py::Store.delete": STORE,
    "pipelines/storage/attempts.py::attempt": OWN_NAME,
    "pipelines/storage/attempts.py::publish": "the folder that this attempt has just replaced",
    "pipelines/storage/attempts.py::_make_way": "half an output: without a manifest",
    "pipelines/storage/attempts.py::abandon": (
        "what a writer left that is proven dead, or whose end nobody else can publish any more"
    ),
    "pipelines/storage/hdfs.py::HdfsStore._delete": STORE,
    "pipelines/storage/local.py::LocalStore._delete": STORE,
    "pipelines/storage/local.py::LocalStore.rename": "fails if the target has content",
    "pipelines/storage/local.py::LocalStore._rename_file": "a link that fails if the target exists",
    "pipelines/storage/local.py::LocalStore._exchange": STORE,
    "pipelines/storage/objects.py::Objects.require_creation": OWN_NAME,
    "pipelines/storage/object_store.py::ObjectStore._delete": STORE,
    "pipelines/storage/object_store.py::ObjectStore.discard": "what its callers name",
    "pipelines/storage/object_store.py::ObjectStore.sweep": OWN_NAME,
    "pipelines/storage/objects.py::Objects.delete": STORE,
    "pipelines/storage/renaming.py::RenamingStore.create": OWN_NAME,
    "pipelines/storage/renaming.py::RenamingStore.sweep": OWN_NAME,
    "pipelines/storage/renaming.py::RenamingStore.discard": "what its callers name",
    "pipelines/storage/renaming.py::RenamingStore._staged": OWN_NAME,
    "pipelines/storage/staging.py::sweep": "staging of a writer that is proven dead, or abandoned",
    "pipelines/storage/staging.py::discard": "what its callers name; renamed away first",
    "pipelines/studies/study.py::study": ONE_WORKER,
    "pipelines/studies/study.py::_conclude": ONE_WORKER,
    "pipelines/studies/trial.py::execute": ONE_WORKER,
    "pipelines/tracking/keras_models.py::fetch_model": "a cached copy of the same run's model",
    "pipelines/tracking/versions.py::delete_alias": NO_FILE,
    "pipelines/tracking/versions.py::untag": NO_FILE,
    "pipelines/training/candidate.py::run": ONE_WORKER,
    "pipelines/training/checkpoint.py::save": "epoch-*.npz and best-*.npz of its folder of epochs",
    "pipelines/training/train.py::train": "the folder of epochs in a claimed folder of work",
    "serving/__main__.py::run": "home/service/bentoml-<port>, of the service that holds the port",
    "serving/jobs.py::delete": NO_FILE,
    "serving/records/log.py::Appended._put_aside": "rotation of the log it writes, under a lock",
    "serving/champions.py::_living": "a note of a worker that no longer runs",
    "stack/hdfs.py::_format": "home/hdfs/namenode.new; `stack up` holds its lock",
    "stack/jars.py::_fetch": "a jar with the pinned name and hash",
    "stack/postgres.py::_initialise": (
        "home/postgres/data.new; only `stack up` writes there, under its lock"
    ),
    "stack/recovery.py::restore": "the folder that _make_room has just made",
    "stack/recovery.py::_make_room": "only a home with the mark of an unfinished restore",
    "stack/recovery.py::_exchange": "names of the home that was just restored",
    "stack/recovery.py::_cleared": "names that the next run makes again; the folder only if empty",
    "benchmarks/cluster_nodes.py::Nodes.full_disks": TEMPORARY,
    "benchmarks/container_engine.py::Engine._import": TEMPORARY,
    "benchmarks/container_engine.py::Engine._uv": TEMPORARY,
    "benchmarks/prepare.py::_spark": TEMPORARY,
    "benchmarks/prove_cluster.py::main": TEMPORARY,
    "benchmarks/score.py::_score": TEMPORARY,
}
ALWAYS = ("rmtree", "unlink", "rmdir", "removedirs", "recommit", "_delete", "rm", "rm_file")
OF_MODULE = {"shutil": ("move",), "os": ("remove", "replace", "rename", "renames", "truncate")}


def deletes(call: ast.Call) -> bool:
    """Whether a call may delete a file, or put one in the place of another."""
    called = call.func
    if isinstance(called, ast.Name):
        return called.id in (*ALWAYS, "discard")
    if not isinstance(called, ast.Attribute):
        return False
    name, owner = called.attr, ast.unparse(called.value)
    if name in ALWAYS or name.startswith("delete") or name in OF_MODULE.get(owner, ()):
        return True
    is_of_path = len(call.args) == 1 and not call.keywords  # text is replaced by two
    return name in ("replace", "rename") and (is_of_path or owner.endswith("store"))


def sites(path: Path) -> Iterator[str]:
    """``file::function`` of each call that deletes."""

    def below(node: ast.AST, inside: tuple[str, ...]) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Call) and deletes(child):
                yield f"{path.relative_to(ROOT)}::{'.'.join(inside)}"
            named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            yield from below(child, (*inside, str(vars(child)["name"])) if named else inside)

    yield from below(ast.parse(path.read_text("utf-8")), ())


def test_each_place_that_deletes_is_listed_with_its_guard() -> None:
    found = {
        site
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for site in sites(path)
    }

    assert sorted(found - set(GUARDS)) == [], "list these in GUARDS, with what makes them safe"
    assert sorted(set(GUARDS) - found) == [], "these no longer delete: take them out of GUARDS"


def test_what_deletes_is_recognised() -> None:
    deleting = ["shutil.rmtree(a)", "p.unlink()", "os.remove(a)", "part.replace(a)", "a.rename(b)"]
    deleting += ["shutil.move(a, b)", "store.delete(a)", "client.delete_run(a)", "discard(s, a)"]
    other = ["text.replace('a', 'b')", "now.replace(microsecond=0)", "seen.discard(a)"]
    other += ["rows.rename(columns=a)", "names.remove(a)", "replace(entry, label=a)"]

    def is_one(text: str) -> bool:
        call = ast.parse(text, mode="eval").body
        return isinstance(call, ast.Call) and deletes(call)

    assert [text for text in deleting if not is_one(text)] == []
    assert [text for text in other if is_one(text)] == []
