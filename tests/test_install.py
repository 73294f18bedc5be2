"""The ways to install a package, each in a fresh environment and without a network.

Every test starts from a copy of the sources in a folder whose name needs quoting in a URL, and from
a new virtual environment in which this environment's third-party packages are linked. The packages
of this workspace are left out of it, so that what the test imports is what the test installed.
Build isolation is off: an isolated build would download the build backend.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from email import message_from_string
from email.message import Message
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent.name for path in ROOT.glob("packages/*/pyproject.toml"))
# All packages have the same build (a test compares its files): every one is installed from the
# checkout, and one stands for the others where the way of installing is what is tested.
ONE_FOR_ALL = [
    pytest.param(package, marks=[] if package == "sleep-replay" else pytest.mark.slow)
    for package in PACKAGES
]
PROJECTS = {"sharpwave-shared": "shared", **{name: f"packages/{name}" for name in PACKAGES}}
SHARED_VERSION = "sharpwave-shared==0.1.*"

# Settings for pip, uv and Python of whoever runs the tests must not reach the commands under test.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("PIP_", "PYTHON", "UV", "VIRTUAL_ENV"))
} | {"PIP_CONFIG_FILE": os.devnull}
OFFLINE_UV = {"UV_OFFLINE": "1", "UV_NO_CACHE": "1", "UV_NO_BUILD_ISOLATION": "1"}


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """Return what the command printed; fail the test with all its output if it failed."""
    done = subprocess.run(
        command, cwd=cwd, env=ENVIRONMENT | variables, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.fail(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def import_name(project: str) -> str:
    return project.replace("-", "_")


def version(project: str) -> str:
    with (ROOT / PROJECTS[project] / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)["project"]["version"]


class Environment:
    """A new virtual environment that has the third-party packages of the running one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder, symlinks=os.name != "nt")
        self.scripts = Path(sysconfig.get_path("scripts", "venv", {"base": str(folder)}))
        self.site_packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
        for entry in Path(sysconfig.get_path("purelib")).iterdir():
            if entry.suffix == ".pth" or entry.name.startswith(tuple(map(import_name, PROJECTS))):
                continue
            if entry.suffix == ".dist-info":
                # uv does not see linked metadata. Without RECORD neither uv nor pip can uninstall
                # the package, which would delete the linked files.
                shutil.copytree(
                    entry,
                    self.site_packages / entry.name,
                    ignore=shutil.ignore_patterns("RECORD"),
                )
            else:
                (self.site_packages / entry.name).symlink_to(entry)

    def pip(self, *arguments: str | Path) -> None:
        offline = ("--no-index", "--no-build-isolation")
        run(self.scripts / "python", "-m", "pip", *arguments, *offline, cwd=self.folder)

    def requirement_on_shared(self, project: str) -> str:
        """Return the requirement that the installed metadata states."""
        metadata = next(self.site_packages.glob(f"{import_name(project)}-*.dist-info/METADATA"))
        return requirement_on_shared(message_from_string(metadata.read_text(encoding="utf-8")))

    def locations(self, project: str) -> dict[str, Path]:
        """Return the folders that the package and the shared one are imported from."""
        names = [import_name(project), "sharpwave_shared"]
        code = (
            "import json; from importlib.util import find_spec;"
            f"print(json.dumps({{name: find_spec(name).origin for name in {names}}}))"
        )
        printed = run(self.scripts / "python", "-c", code, cwd=self.folder)
        return {name: Path(file).parent for name, file in json.loads(printed).items()}

    def check_command(self, project: str) -> None:
        printed = run(self.scripts / project, "--version", cwd=self.folder)
        assert version(project) in printed


def open_wheel(dist: Path, project: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(dist / f"{import_name(project)}-{version(project)}-py3-none-any.whl")


def requirement_on_shared(metadata: Message) -> str:
    requirements = metadata.get_all("Requires-Dist", [])
    (requirement,) = (line for line in requirements if line.startswith("sharpwave-shared"))
    return requirement


@pytest.fixture(scope="module")
def uv() -> str:
    return shutil.which("uv") or pytest.skip("uv is not on the PATH")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what a clone holds and an installation needs."""
    folder = tmp_path_factory.mktemp("clone") / "Sharp wäve {#1}"
    folder.mkdir()
    for name in ("pyproject.toml", "uv.lock", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    for name in ("shared", "packages"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path / "environment")


@pytest.fixture(scope="module")
def workspace(checkout: Path) -> Environment:
    """Give the copy the environment in which `uv run` finds the third-party packages."""
    return Environment(checkout / ".venv")


@pytest.fixture(scope="module")
def dist(uv: str, checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the release: a wheel and a source distribution of every package."""
    folder = tmp_path_factory.mktemp("dist")
    run(
        *(uv, "build", "--all-packages", "--python", sys.executable, "--out-dir", folder),
        cwd=checkout,
        **OFFLINE_UV,
    )
    return folder


@pytest.mark.parametrize("package", ONE_FOR_ALL)
def test_uv_run_at_the_root_of_a_clone(
    uv: str, checkout: Path, workspace: Environment, package: str
) -> None:
    printed = run(uv, "run", "--locked", package, "--version", cwd=checkout, **OFFLINE_UV)
    assert version(package) in printed
    assert workspace.locations(package) == {
        import_name(package): checkout / "packages" / package / "src" / import_name(package),
        "sharpwave_shared": checkout / "shared/src/sharpwave_shared",
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_pip_install_from_the_checkout(
    checkout: Path, environment: Environment, package: str
) -> None:
    environment.pip("install", checkout / "packages" / package)
    expected = f"sharpwave-shared @ {(checkout / 'shared').as_uri()}"
    assert environment.requirement_on_shared(package) == expected
    for name, folder in environment.locations(package).items():
        assert folder == environment.site_packages / name
    environment.check_command(package)


@pytest.mark.parametrize("package", ONE_FOR_ALL)
def test_pip_install_editable(checkout: Path, environment: Environment, package: str) -> None:
    environment.pip("install", "--editable", checkout / "packages" / package)
    assert environment.locations(package) == {
        import_name(package): checkout / "packages" / package / "src" / import_name(package),
        "sharpwave_shared": environment.site_packages / "sharpwave_shared",
    }


@pytest.mark.parametrize("package", ONE_FOR_ALL)
@pytest.mark.parametrize(
    "form",
    # `uv build` builds the wheels from the source distributions: installing them stands for both.
    ["wheel", pytest.param("source", marks=pytest.mark.slow)],
)
def test_pip_install_of_a_release(
    dist: Path, environment: Environment, package: str, form: str
) -> None:
    own = ",".join(PROJECTS)
    choice = ("--only-binary", own) if form == "wheel" else ("--no-binary", own)
    environment.pip("install", "--find-links", dist, *choice, package)
    assert environment.requirement_on_shared(package) == SHARED_VERSION
    for name, folder in environment.locations(package).items():
        assert folder == environment.site_packages / name
    environment.check_command(package)


@pytest.mark.parametrize("package", ONE_FOR_ALL)
def test_pip_without_the_sibling_asks_for_a_version(
    environment: Environment, tmp_path: Path, package: str
) -> None:
    alone = tmp_path / "packages" / package
    shutil.copytree(ROOT / "packages" / package, alone)
    environment.pip("install", "--no-deps", alone)
    assert environment.requirement_on_shared(package) == SHARED_VERSION


@pytest.mark.parametrize("project", PROJECTS)
def test_a_wheel_holds_every_source_file_and_the_license(
    dist: Path, checkout: Path, project: str
) -> None:
    source = checkout / PROJECTS[project] / "src"
    files = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }
    archive = open_wheel(dist, project)
    metadata = f"{import_name(project)}-{version(project)}.dist-info/"
    names = set(archive.namelist())
    assert {name for name in names if not name.startswith(metadata)} == files
    assert f"{import_name(project)}/py.typed" in files
    assert archive.read(f"{metadata}licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize(
    ("project", "pattern"),
    [
        ("sharpwave-shared", "sharpwave_shared/*.mplstyle"),
        ("sleep-replay", "sleep_replay/weights/*.safetensors"),
        ("sleep-replay", "sleep_replay/weights/*.json"),
    ],
)
def test_a_wheel_holds_the_packaged_data(dist: Path, project: str, pattern: str) -> None:
    names = open_wheel(dist, project).namelist()
    assert any(fnmatch(name, pattern) for name in names)


def test_a_release_names_versions_and_no_path(dist: Path, checkout: Path) -> None:
    def contents(path: Path) -> dict[str, bytes]:
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as archive:
                return {name: archive.read(name) for name in archive.namelist()}
        with tarfile.open(path) as archive:
            return {
                member.name: file.read()
                for member in archive
                if (file := archive.extractfile(member)) is not None
            }

    files = [*dist.glob("*.whl"), *dist.glob("*.tar.gz")]
    assert len(files) == 2 * len(PROJECTS)
    for file in files:
        for name, content in contents(file).items():
            assert os.fsencode(checkout) not in content, f"{file.name}: {name}"
            assert checkout.as_uri().encode() not in content, f"{file.name}: {name}"
            if Path(name).name in {"METADATA", "PKG-INFO"}:
                metadata = message_from_string(content.decode())
                requirements = metadata.get_all("Requires-Dist", [])
                assert not any("file:" in line for line in requirements)
                if metadata["Name"] in PACKAGES:
                    assert requirement_on_shared(metadata) == SHARED_VERSION


def test_the_packages_carry_the_same_build_hook() -> None:
    hooks = {(ROOT / "packages" / name / "hatch_build.py").read_text() for name in PACKAGES}
    assert len(hooks) == 1
