"""Commands that run the whole loop: ``run`` for a newcomer, ``retrain`` for every day."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines import loop
from pipelines.activity import enable
from pipelines.cli.console import Dataset, console, done
from pipelines.cli.follow import follow
from pipelines.cli.outcome import tell
from pipelines.cli.release import show_answer
from pipelines.cli.stack import start
from pipelines.data.folders import is_remote
from pipelines.errors import Unavailable
from pipelines.redaction import without_credentials
from pipelines.scheduler import open_scheduler
from pipelines.service_client import ServiceClient
from pipelines.settings import Settings, get_settings
from pipelines.spec import load_spec

app = typer.Typer()

LandingOption = Annotated[
    str | None,
    typer.Option(
        help="Folder of images, local, hdfs:///… or s3://…; the data set's own if left out."
    ),
]


@app.command()
def run(dataset: Dataset = "phantom", landing: LandingOption = None) -> None:
    """Everything: stack up, retrain, serve the champion, ask it one question, print the URLs."""
    settings = get_settings()
    folder = loop.landing_folder(dataset, landing)
    if load_spec(dataset).synthetic and not (is_remote(folder) or Path(folder).exists()):
        _draw(Path(folder))
    # Before the stack starts: its first look at the DAG files then finds all of this data set's.
    enable(settings, dataset)
    start()
    _retrain(dataset, folder, {})
    _ask(settings, dataset, folder)
    _show_urls(settings, dataset)


@app.command()
def retrain(
    dataset: Dataset,
    landing: LandingOption = None,
    candidate: Annotated[
        list[str] | None, typer.Option(help="Train only this one; may be given more than once.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Use nothing that stands but the snapshot of originals.")
    ] = False,
) -> None:
    """Run the retraining DAG now, and follow it.

    Ends with status 0 whether the challenger was promoted, refused or serves already; what was
    decided is printed with every number. Ctrl-C stops the following, not the run.
    """
    conf: dict[str, Any] = {"fresh": fresh}
    if candidate:
        conf["candidates"] = loop.candidates(dataset, candidate)
    _retrain(dataset, loop.landing_folder(dataset, landing), conf)


def _draw(folder: Path) -> None:
    from pipelines.phantom import generate

    console.print(f"Drawing synthetic head phantoms into {folder} …")
    generate(folder, seed=7)


def _retrain(dataset: str, folder: str, conf: dict[str, Any]) -> None:
    enable(get_settings(), dataset)
    scheduler = open_scheduler(get_settings())
    dag = f"retrain_{dataset}"
    scheduler.reread(dag)
    run_id = scheduler.unfinished(dag)
    if run_id:
        console.print(f"{dag} is under way already ({run_id}); following it.")
    else:
        run_id = scheduler.start(dag, conf | {"landing": folder})
    began = time.monotonic()
    ended = follow(scheduler, dag, run_id)
    tell(scheduler, dataset, ended, time.monotonic() - began)


def _ask(settings: Settings, dataset: str, folder: str) -> None:
    """Ask the service one question, once it has picked the champion up."""
    from pipelines.release import registry
    from pipelines.stage import default_context

    champion = registry.champion(default_context(), dataset)
    if champion is None:
        console.print(f"{dataset} has no champion yet, so the service cannot be asked about it.")
        return
    service = ServiceClient(settings)
    _wait_until_served(service, dataset, champion.version)
    image = _some_image(dataset, folder)
    console.print(f"\n[bold]One question[/bold]: {image}", soft_wrap=True)
    show_answer(service.predict(image, dataset=dataset))
    overlay = settings.home / f"{dataset}-gradcam.png"
    overlay.write_bytes(service.gradcam(image, dataset=dataset))
    done(f"Where it looks (Grad-CAM): {overlay}")


def _wait_until_served(service: ServiceClient, dataset: str, version: int) -> None:
    """Wait until the service answers with a version, as it does within seconds.

    Raises:
        Unavailable: it does not within a minute.
    """
    deadline = time.monotonic() + 60
    while service.versions().get(dataset) != version:
        if time.monotonic() > deadline:
            raise Unavailable(
                f"The service at {service.url} does not serve version {version} of {dataset}; "
                "its log and its /model say why."
            )
        time.sleep(0.5)


def _some_image(dataset: str, folder: str) -> Path:
    """An image of the landing folder that was accepted, of a class that is a finding."""
    spec = load_spec(dataset)
    finding = next((c.name for c in spec.classes if c.finding), spec.class_names[0])
    return loop.example(dataset, folder, finding)


def _show_urls(settings: Settings, dataset: str) -> None:
    passwords = settings.home / "airflow" / "passwords.json"
    console.print(
        "\n[bold]Where to look[/bold]\n"
        f"  The service and its page   {without_credentials(settings.service)}\n"
        f"  MLflow: the candidates     {without_credentials(settings.tracking_uri)}\n"
        f"  Airflow: the run           {without_credentials(settings.airflow)}\n"
        f"    user admin, password in  {passwords}\n"
        f"  Data Docs: the checks      {settings.home}/data_docs/index.html\n"
        f"  Copies and leaks found     {loop.leak_report(dataset)}\n\n"
        f"Try it:  curl -F image=@IMAGE {without_credentials(settings.service)}/predict\n"
        "Stop it: medloop stack down   See it: medloop status",
        soft_wrap=True,
    )
