"""The integration tests on the unpacked package alone, in folders that nothing can write in.

The tests and the simulator are next to the app. What they alone need is linked into a folder of its own, at the end of
the search path; what requirements.txt names comes out of the package, or is missing.
"""

import os
import re
import shutil
import subprocess
from importlib.metadata import distributions

import pytest

from simulator.host import ROOT, bare_python
from simulator.stack import clean_environment

BESIDE_THE_APP = ("benchmarks", "cli", "infra", "simulator", "tests", "pyproject.toml")
PACKAGES = ".python_packages/lib/site-packages"
MODULES = ("graph_faults", "graph_lists", "happy_path", "inspections", "late_grant", "transport")
"""They pass every path on which a client imports something late: retries, redirects, claims, throttling, HTTP/2."""

OF_THE_ENVIRONMENT = "test_happy_path.py::test_the_app_loads_in_a_fresh_process_without_a_request"
"""A test that starts the environment's own Python."""

PYTEST = """
import sys
sys.path[:] = [sys.argv.pop(1), *sys.path, sys.argv.pop(1)]
import pytest
sys.exit(pytest.main())
"""


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def tools(package, tmp_path_factory):
    """What the tests need and the app does not, out of this environment."""
    if package == ROOT:
        pytest.skip("the deployment package runs on Linux on x86_64 alone")
    folder = tmp_path_factory.mktemp("tools")
    of_the_app = set(re.findall("^([a-z0-9-]+)==", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE))
    for one in distributions():
        if canonical(one.name) not in of_the_app:
            for name in {file.parts[0] for file in one.files or ()} - {"..", "__pycache__"}:
                if not (folder / name).exists():
                    (folder / name).symlink_to(one.locate_file(name))
    clash = {path.name for path in folder.iterdir()} & {path.name for path in (package / PACKAGES).iterdir()}
    assert not clash, "the tests need these beside the package's"
    return folder


def run_suite(app, tools, *arguments, without=None):
    """Runs pytest in a copy of `app` that has the tests beside it, and perhaps lacks a module of a package."""
    for name in BESIDE_THE_APP:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, app / name)
    (app / "node_modules").symlink_to(ROOT / "node_modules")
    if without:
        module = app / PACKAGES / without
        module.parent.chmod(0o755)
        module.unlink()
        module.parent.chmod(0o555)
    app.chmod(0o555)
    # The superuser writes whatever a file's mode says, unless the process starts without that capability.
    prefix = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.geteuid() == 0 else []
    command = [*bare_python(), "-c", PYTEST, app / PACKAGES, tools, "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(
        [*prefix, *command], cwd=app, env=clean_environment(), capture_output=True, text=True, check=False
    )


@pytest.fixture
def app(package, tmp_path):
    """A copy of the package, whose folder alone can be written in."""
    folder = tmp_path / "app"
    shutil.copytree(package, folder, copy_function=os.link)
    folder.chmod(0o755)
    return folder


@pytest.mark.exhaustive
def test_the_integration_tests_pass_on_the_package_alone(app, tools):
    modules = [f"tests/integration/test_{name}.py" for name in MODULES]
    done = run_suite(app, tools, *modules, "--deselect", f"tests/integration/{OF_THE_ENVIRONMENT}")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("without", [None, "httpcore/_async/http2.py"])
@pytest.mark.exhaustive
def test_an_invocation_fails_if_the_package_lacks_a_module_that_is_imported_late(app, tools, without):
    one = "tests/integration/test_happy_path.py::test_one_invocation_leaves_status_history_run_and_rows_of_every_token"
    done = run_suite(app, tools, one, without=without)
    assert done.returncode == bool(without), done.stdout + done.stderr
