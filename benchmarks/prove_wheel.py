"""Proof that Medloop runs where there is no checkout: installed from a wheel, the loop goes round.

    python -m benchmarks.prove_wheel [--images 800]

Builds the wheel, installs it with the locked versions of its libraries into a new environment, and
gives `medloop run` on phantoms in another folder, on free ports. The libraries are hard links into
uv's cache, so that they take little room; the jars are this checkout's. Exits 1 if a claim fails,
and removes all it has made. Takes about ten minutes on 2 cores at rest.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

from benchmarks.claims import Claim, show
from pipelines.isolation import isolated_environment
from pipelines.phantom import generate
from pipelines.provenance import git_commit
from pipelines.settings import PROJECT, get_settings
from stack import launch
from stack.testing import isolated_settings

COMMITS = "from pipelines.provenance import git_commit; print(git_commit())"


class Installation:
    """A wheel's environment and the folder of its user.

    Args:
        folder: holds both; empty.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._commands = folder / "environment" / "bin"
        self.user = folder / "user"
        self.home = self.user / "medloop" / ".medloop"
        self.home.mkdir(parents=True)
        self.built_from = str(git_commit())
        ports = {
            name: value
            for name, value in isolated_settings(self.home).model_dump().items()
            if name.endswith("_port")
        }
        path = [p for p in os.environ["PATH"].split(os.pathsep) if not p.startswith(str(PROJECT))]
        self._environment = isolated_environment(**ports, jars=get_settings().jars) | {
            "HOME": str(self.user),
            "PATH": os.pathsep.join(path),
        }
        for name in ("PYTHONPATH", "VIRTUAL_ENV"):
            self._environment.pop(name, None)

    def install(self) -> None:
        """Build the wheel and install it, by the commands of README.md."""
        dist, environment = str(self._folder / "dist"), str(self._commands.parent)
        subprocess.run(["make", "--silent", "wheel", f"DIST={dist}"], cwd=PROJECT, check=True)
        uv = shutil.which("uv", path=f"{PROJECT}/.tools/bin:{os.environ['PATH']}") or "uv"
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, environment], check=True)
        wheels = map(str, Path(dist).glob("*.whl"))
        # Not `--compile-bytecode`: each library that is not imported would take time and disk.
        install = [uv, "pip", "install", "--quiet", "--python", environment]
        install += ["--link-mode", "hardlink", "--constraints", f"{dist}/constraints.txt"]
        subprocess.run([*install, *wheels], cwd=self.user, check=True)

    def run(self, command: str, *words: str) -> tuple[int, str]:
        """The exit status and the output of one of its commands, which is shown as well."""
        given = [str(self._commands / command), *words]
        print(f"$ {' '.join(given)}", flush=True)
        with subprocess.Popen(
            given, env=self._environment, cwd=self.user, stdout=subprocess.PIPE, text=True
        ) as process:
            lines = []
            for line in process.stdout or ():
                print(f"  {line}", end="", flush=True)
                lines.append(line)
        return process.returncode, "".join(lines)

    def leads_to_the_checkout(self) -> list[str]:
        """The parts of its stack whose program, arguments or folder are in this checkout."""
        jars, found = f"{get_settings().jars}/", []
        for process in launch.left_behind(str(self.home)):
            try:
                words = [f"{process.cwd()}/", *process.cmdline()]
                words += process.environ().get("PYTHONPATH", "").split(os.pathsep)
            except psutil.NoSuchProcess:
                continue
            if any(f"{PROJECT}/" in word.replace(jars, "") for word in words):
                found.append(f"{launch.part_of(process)} ({process.pid})")
        return found


def main() -> None:
    """Prove it, print a table, exit 1 if a claim fails."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=800, help="phantoms that are landed")
    images = parser.parse_args().images
    with tempfile.TemporaryDirectory(prefix="prove-wheel-") as folder:
        installation = Installation(Path(folder))
        installation.install()
        generate(installation.home / "landing" / "phantom", seed=7, images=images)
        try:
            status = show(prove(installation), title="Installed from a wheel")
        finally:
            installation.run("medloop", "stack", "down")
            launch.end(launch.left_behind(str(installation.home)))
    sys.exit(status)


def prove(installation: Installation) -> list[Claim]:
    """All claims, on an installation that nothing has run in."""
    status, output = installation.run("medloop", "run")
    _, commit = installation.run("python", "-c", COMMITS)
    ready, _ = installation.run("medloop", "stack", "status")
    checkout = installation.leads_to_the_checkout()
    champion = "version 1 is the champion" in output
    return [
        Claim("medloop run ends well", "exit status 0", str(status), status == 0),
        Claim("a model is in service", "version 1", "1" if champion else "none", champion),
        Claim("every part is ready", "exit status 0", str(ready), ready == 0),
        Claim(
            "it knows its commit",
            installation.built_from,
            commit.strip(),
            commit.strip() == installation.built_from,
        ),
        Claim("no process uses the checkout", "none", ", ".join(checkout) or "none", not checkout),
    ]


if __name__ == "__main__":
    main()
