"""The weights are found wherever the program is: in a wheel, an editable install, a checkout.

Everything is built by the project's own backend without the network, and installed into bare
virtual environments, which have msgspec but no torch: that is enough to find and check the files.
"""

import email
import email.policy
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import msgspec
import pytest

from edsr_cli.checkpoints import registry

FIND_AND_CHECK = """
from edsr_cli.checkpoints import registry
from edsr_cli.checkpoints.registry import bundled_file, weights_folder
for row in registry.rows():
    if source := row.bundled:
        print(bundled_file(source.file, source.size, source.sha256).name)
print(weights_folder())
"""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """The standard output of a command that must succeed."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=cwd, env=inherited | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def build(kind: str, source: Path, folder: Path) -> Path:
    """Build with one of the backend's hooks: build_wheel, build_editable or build_sdist."""
    program = f"import sys; from hatchling.build import {kind}; print({kind}(sys.argv[1]))"
    output = run(sys.executable, "-c", program, folder, cwd=source)
    return folder / output.splitlines()[-1]


def bare_python(folder: Path) -> Path:
    """The Python of a new virtual environment with nothing but msgspec in it."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    shutil.copytree(Path(msgspec.__file__).parent, packages_of(python) / "msgspec")
    return python


def packages_of(python: Path) -> Path:
    """The site-packages of a Python."""
    ask = "import sysconfig; print(sysconfig.get_path('platlib'))"
    return Path(run(python, "-c", ask, cwd=python.parent).strip())


def install(wheel: Path, folder: Path) -> tuple[Path, Path]:
    """Install a wheel in a new virtual environment; its Python and its site-packages."""
    python = bare_python(folder)
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    run(*pip, "install", "--no-deps", "--no-index", wheel, cwd=folder.parent)
    return python, packages_of(python)


def found_weights(python: Path, cwd: Path, **environment: str) -> Path:
    """The weights folder that a Python elsewhere finds, after a check of the files in it."""
    *names, folder = run(python, "-c", FIND_AND_CHECK, cwd=cwd, **environment).splitlines()
    assert names == [row.bundled.file for row in registry.rows() if row.bundled]
    return Path(folder)


@pytest.fixture(scope="module")
def wheel(repository, tmp_path_factory) -> Path:
    return build("build_wheel", repository, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def wheel_names(wheel) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_a_wheel_elsewhere_has_its_own_weights(wheel, tmp_path):
    python, packages = install(wheel, tmp_path / "venv")
    assert found_weights(python, tmp_path) == packages / "edsr_cli" / "weights"
    assert list(python.parent.glob("edsr*")), "the script is missing"


def test_an_editable_install_uses_the_checkouts_weights_and_copies_nothing(repository, tmp_path):
    python, packages = install(build("build_editable", repository, tmp_path), tmp_path / "venv")
    assert found_weights(python, tmp_path) == repository / "weights"
    assert not (packages / "edsr_cli").exists()
    shutil.rmtree(packages / "msgspec")
    assert sum(file.stat().st_size for file in packages.rglob("*") if file.is_file()) < 200_000


def test_a_checkout_that_is_not_installed_uses_its_weights(repository, tmp_path):
    python = bare_python(tmp_path / "venv")
    assert found_weights(python, tmp_path, PYTHONPATH=str(repository)) == repository / "weights"


def test_a_wheel_holds_the_package_and_nothing_else(wheel, wheel_names, repository):
    modules = {
        str(path.relative_to(repository)).replace(os.sep, "/")
        for path in (repository / "edsr_cli").rglob("*")
        if path.suffix in (".css", ".jinja", ".js", ".py", ".toml")
    }
    weights = {f"edsr_cli/weights/{path.name}" for path in (repository / "weights").iterdir()}
    information = {name for name in wheel_names if ".dist-info/" in name}
    assert wheel_names - information == modules | weights | {"edsr_cli/py.typed"}
    assert any(name.endswith("/licenses/LICENSE") for name in information)
    # The indexes' limit is 100 MB a file; a surprise of this size should be noticed long before.
    assert wheel.stat().st_size < 30_000_000


def test_a_wheel_built_from_the_source_archive_is_the_same(repository, wheel_names, tmp_path):
    archive = build("build_sdist", repository, tmp_path)
    with tarfile.open(archive) as file:
        file.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    with zipfile.ZipFile(build("build_wheel", source, tmp_path)) as rebuilt:
        assert set(rebuilt.namelist()) == wheel_names
    assert (source / "tests" / "test_packaging.py").is_file()


def test_the_version_is_the_packages(wheel):
    import edsr_cli

    assert re.fullmatch(
        rf"edsr_cli-{re.escape(edsr_cli.__version__)}-py3-none-any\.whl", wheel.name
    )


def test_what_an_index_is_told(wheel, repository):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        told = email.message_from_bytes(archive.read(name), policy=email.policy.default)
    assert told["License-Expression"] == "MIT AND CC0-1.0"
    assert told["Description-Content-Type"] == "text/markdown"
    text = told.get_payload()
    # Files beside the README are not there: they are named, not linked to.
    targets = re.findall(r"\]\(([^)]*)\)", text)
    assert targets and all(target.startswith(("https://", "#")) for target in targets)
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("#")
    }
    assert {target[1:] for target in targets if target.startswith("#")} <= headings
    assert "`docs/colour-and-metadata.md` in the source archive" in text
    assert text.count("\n## ") == (repository / "README.md").read_text("utf-8").count("\n## ")
