"""The matrix: every package on its own wheel, on every Python at hand.

    nox -l                                   everything there is
    nox -s lint types imports                the static checks
    nox -s "tests-3.14t(milo-core)"          one package, alone, on one Python
    nox -s integration-3.11 contract-3.11    all packages together
    nox -s plugin-3.11                       the sample plugin, beside milo-effects
    nox -s inspector                         the MCP Inspector from npm; needs Node.js
    nox -s bench-3.11 -- --check             the benchmarks; not part of CI
    nox -s mutation -- milo_core.store       does a test notice each change? not part of CI

Sessions that test install wheels built from packages/ and never see the sources.
A session whose Python is not on this machine is skipped. Arguments after ``--``
go to pytest, to the benchmarks, or name the modules to mutate.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2026.4"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "types", "imports", "tests"]

ROOT = Path(__file__).parent
PYTHONS = ["3.11", "3.12", "3.13", "3.14", "3.14t"]
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
WHEELS = ROOT / ".nox" / "wheels"
BENCHMARKS = [
    ROOT / "benchmarks" / name
    for name in (
        *("core.py", "effects.py", "capture.py", "pipeline.py"),
        *("mcp_updates.py", "tui_frames.py"),
    )
]
DURABLE = ROOT / "benchmarks" / "durable.py"
ON_POSTGRES = ["milo-durable"]
OTHER_GROUPS = {"milo-tui": ["templates"]}
# Of the Model Context Protocol's project. Its package asks for a newer Node.js than its command
# line needs.
INSPECTOR = "@modelcontextprotocol/inspector@2.12.0"
OLDEST_NODE = (20, 19, 0)
# Promises of the published interfaces, kept outside this repository.
CONTRACT = Path(os.environ.get("MILO_CONTRACT", ROOT.parent / "shared" / "contract"))


@dataclass(frozen=True)
class Package:
    """One distribution of the workspace: its folder, its names, the siblings it declares."""

    folder: Path
    name: str
    siblings: tuple[str, ...]

    @property
    def tests(self) -> str:
        return f"tests/{self.name.removeprefix('milo-')}"

    @property
    def readme(self) -> str:
        return str((self.folder / "README.md").relative_to(ROOT))

    @property
    def import_name(self) -> str:
        (source,) = self.folder.glob("src/*/__init__.py")
        return source.parent.name


def read_package(folder: Path) -> Package:
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    names = [re.match(r"[\w.-]+", line) for line in project["dependencies"]]
    siblings = [n.group() for n in names if n and (ROOT / "packages" / n.group()).is_dir()]
    return Package(folder, project["name"], tuple(siblings))


FOLDERS = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))
PACKAGES = {package.name: package for package in map(read_package, FOLDERS)}
PLUGIN = read_package(ROOT / "examples" / "plugin-http")
BUILDABLE = PACKAGES | {PLUGIN.name: PLUGIN}


def with_siblings(names: Iterable[str]) -> list[str]:
    """``names`` and every package of the workspace they declare, directly or not."""
    found: list[str] = []
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.append(name)
            waiting.extend(BUILDABLE[name].siblings)
    return sorted(found)


_built: dict[str, Path] = {}


def wheel(session: nox.Session, name: str) -> Path:
    """The wheel of ``name``, built at most once in this run of nox."""
    if name not in _built:
        shutil.rmtree(WHEELS / name, ignore_errors=True)
        source = str(BUILDABLE[name].folder)
        build = ["uv", "build", "--quiet", "--wheel", "--out-dir", str(WHEELS / name), source]
        session.run_install(*build, external=True)
        (_built[name],) = (WHEELS / name).glob("*.whl")
    return _built[name]


def install(session: nox.Session, packages: Iterable[str], groups: Iterable[str]) -> None:
    """Install wheels of ``packages``, what they declare, and groups of tools; nothing else.

    Siblings are named by file, so that no index can offer another package of that name.
    """
    wheels = [str(wheel(session, name)) for name in with_siblings(packages)]
    session.install(*wheels, *nox.project.dependency_groups(PYPROJECT, *groups))


def pytest(session: nox.Session, *arguments: str, beside: Sequence[str] = ()) -> None:
    """Run pytest under ``.ci/run_rules.py``, on what is installed in the session's environment.

    ``beside`` stands before the command and runs it.
    """
    session.run(
        *beside,
        str(Path(session.bin) / "pytest"),
        *["-p", "run_rules", "--only-installed", "-p", "no:cacheprovider"],
        *arguments,
        *session.posargs,
        env={"PYTHONPATH": str(ROOT / ".ci"), "PYTHONDONTWRITEBYTECODE": "1"},
        external=bool(beside),
    )


def postgres() -> list[str]:
    """What to put before a command that wants a PostgreSQL server; see that file.

    The server comes in an environment of its own, on nox's Python, because there is none for
    free-threaded Python; so the command may run there all the same.
    """
    alone = ["uv", "run", "--quiet", "--isolated", "--no-project", "--python", sys.executable]
    packages = [f"--with={each}" for each in nox.project.dependency_groups(PYPROJECT, "postgres")]
    return [*alone, *packages, str(ROOT / ".ci" / "postgres_server.py")]


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff finds nothing to say and nothing to reformat."""
    install(session, [], ["lint"])
    session.run("ruff", "check", "--no-cache")
    session.run("ruff", "format", "--check", "--no-cache")


@nox.session
def types(session: nox.Session) -> None:
    """Every package, the examples and this file are strictly typed."""
    install(session, BUILDABLE, ["types", "test", "examples", "nox"])
    session.run("mypy")


@nox.session
def imports(session: nox.Session) -> None:
    """Imports point down, and every package is complete."""
    install(session, PACKAGES, ["imports", "test"])
    session.run("lint-imports", "--no-cache")
    pytest(session, "tests/architecture")


@nox.session(python=PYTHONS)
@nox.parametrize("package", [nox.param(p, id=name) for name, p in PACKAGES.items()])
def tests(session: nox.Session, package: Package) -> None:
    """One package's tests, examples and README on its wheel and declared dependencies alone."""
    install(session, [package.name], ["test", *OTHER_GROUPS.get(package.name, [])])
    beside = postgres() if package.name in ON_POSTGRES else []
    pytest(session, "--pyargs", package.tests, package.import_name, package.readme, beside=beside)


@nox.session(python=PYTHONS)
def integration(session: nox.Session) -> None:
    """The wheels of all packages wired together: quickstarts, examples, the command."""
    install(session, PACKAGES, ["test", "examples"])
    pytest(session, "tests/integration", "examples/site", "README.md", beside=postgres())


@nox.session(python=PYTHONS)
def plugin(session: nox.Session) -> None:
    """The sample plugin's wheel beside those it declares: its effect is found and works."""
    install(session, [PLUGIN.name], ["test"])
    tests = str(PLUGIN.folder.relative_to(ROOT) / "tests")
    pytest(session, "--pyargs", tests, PLUGIN.import_name, PLUGIN.readme)


@nox.session
def inspector(session: nox.Session) -> None:
    """The MCP project's own Inspector, from npm, looks at what ``milo mcp`` serves."""
    version = node_version()
    if version < OLDEST_NODE:
        found = ".".join(map(str, version)) or "none"
        needed = ".".join(map(str, OLDEST_NODE))
        session.skip(f"the Inspector needs Node.js {needed} or later and npm; there is {found}")
    install(session, PACKAGES, ["test"])
    folder = Path(session.create_tmp()).resolve() / "inspector"
    quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
    session.run("npm", "install", "--prefix", str(folder), *quiet, INSPECTOR, external=True)
    session.env["MILO_INSPECTOR"] = str(folder / "node_modules" / ".bin" / "mcp-inspector")
    pytest(session, "tests/integration/inspector_checks.py")


def node_version() -> tuple[int, ...]:
    """Of the Node.js on the path, if npm is there, too."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        return ()
    printed = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    return tuple(int(part) for part in re.findall(r"\d+", printed.stdout)[:3])


@nox.session(python=PYTHONS)
def contract(session: nox.Session) -> None:
    """The published promises, on the wheels of all packages, where their tests are at hand.

    Those of durable sagas hold on SQLite and on PostgreSQL.
    """
    if not CONTRACT.is_dir():
        session.skip(f"no contract tests at {CONTRACT}")
    install(session, PACKAGES, ["test"])
    limit = ["-o", "faulthandler_timeout=180", "-o", "faulthandler_exit_on_timeout=true"]
    # Retry has two parameters more than that test lists, by keyword only, as may be added.
    choice = ["-k", "not test_retry_parameters"]
    session.env["CONTRACT_REQUIRE_TUI"] = "1"
    pytest(session, "-ra", *limit, *choice, str(CONTRACT), beside=postgres())


@nox.session(python=PYTHONS)
def bench(session: nox.Session) -> None:
    """Every benchmark on the wheels of all packages; ``-- --check`` fails on a missed limit."""
    install(session, PACKAGES, ["bench"])
    arguments = [*measure_peer(session), *session.posargs]
    python = str(Path(session.bin) / "python")
    durable = [*postgres(), python, str(DURABLE), *durable_peers(session), *session.posargs]
    commands = {file: [python, str(file), *arguments] for file in BENCHMARKS} | {DURABLE: durable}
    missed = []
    for file, command in commands.items():
        try:
            session.run(*command, external=True)
        except CommandFailed:  # the other files are measured all the same
            missed.append(file.name)
    if missed:
        session.error(f"limits were missed, or could not be measured, in {', '.join(missed)}")


def measure_peer(session: nox.Session) -> list[str]:
    """The argument that puts milo-cli's figures beside ours, if it can be installed here.

    In an environment of its own, because it installs a package ``milo`` as milo-suite does.
    """
    figures = Path(session.create_tmp()) / "milo-cli.json"
    python = str(Path(session.bin) / "python")
    alone = ["uv", "run", "--quiet", "--isolated", "--no-project", "--python", python]
    packages = [f"--with={each}" for each in nox.project.dependency_groups(PYPROJECT, "peer")]
    try:
        session.run(*alone, *packages, "benchmarks/peer_milo_cli.py", str(figures), external=True)
    except CommandFailed:
        session.warn("no figures of milo-cli; for the reason see above (it needs Python 3.14)")
        return []
    return ["--peer", str(figures)]


def durable_peers(session: nox.Session) -> list[str]:
    """The argument that has other libraries measured beside milo-durable, if they are to be had.

    In an environment of their own, because what they need should not change what is ours.
    """
    folder = Path(session.create_tmp()).resolve() / "durable-peers"
    ours, python = str(Path(session.bin) / "python"), str(folder / "bin" / "python")
    packages = nox.project.dependency_groups(PYPROJECT, "durable-peers")
    try:
        session.run("uv", "venv", "-q", "--clear", "--python", ours, folder, external=True)
        session.run("uv", "pip", "install", "-q", "--python", python, *packages, external=True)
    except CommandFailed:
        session.warn("no figures of DBOS and others; for the reason see above (Python 3.12?)")
        return []
    return ["--peers", python]


@nox.session(python="3.11")
def mutation(session: nox.Session) -> None:
    """Change a copy of the store and the runner in small ways: does a test notice each?

    Takes about an hour. After ``--``: modules, if not all that ``[tool.mutmut]`` names.
    """
    packages = [PACKAGES[name] for name in ("milo-core", "milo-effects")]
    install(session, PACKAGES, ["test", "mutation"])
    copy = Path(session.create_tmp()).resolve() / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    for package in packages:
        source = Path("src") / package.import_name
        shutil.copytree(package.folder / source, copy / source)
        shutil.copytree(ROOT / package.tests, copy / package.tests)
    for file in ("pyproject.toml", ".ci/mutation_rules.py"):
        shutil.copy(ROOT / file, copy)
    session.chdir(copy)
    session.run("mutmut", "run", *[f"{module}.*" for module in session.posargs])
    session.run("mutmut", "results")
