"""examples/site: a folder of Markdown becomes a site, by handler and through ``milo run``."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "site"))

import sitegen
from milo import DefinitionError
from sitekit.assets import STYLESHEET, linked_files, stylesheet
from sitekit.discover import INDEX, discover
from sitekit.errors import BrokenLinks, SiteError
from sitekit.health import find_broken
from sitekit.links import resolve
from sitekit.parse import Page, parse
from sitekit.render import render
from sitekit.write import why_not_writable, write

SITEGEN = Path(sitegen.__file__)
REPOSITORY = SITEGEN.parents[2]
HANG = 120

MakeFolder = Callable[[Mapping[str, str]], Path]


@pytest.fixture
def folder(tmp_path: Path) -> MakeFolder:
    """Make a source folder from file names and their text."""

    def make(files: Mapping[str, str]) -> Path:
        root = tmp_path / "docs"
        for name, text in files.items():
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return root

    return make


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "site"


def pages_of(root: Path) -> dict[str, Page]:
    return {str(page.source): page for page in parse(discover(root, root / "build"))}


def build(root: Path, out: Path) -> tuple[str, ...]:
    """Build ``root`` into ``out`` without a pipeline and return the broken links."""
    pages = parse(discover(root, out))
    contents: dict[PurePosixPath, str | Path] = {STYLESHEET: stylesheet()}
    contents |= render(pages, root.name)
    contents |= linked_files(pages, root, out)
    return find_broken(pages, write(contents, out, root))


def files_below(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


class Document(HTMLParser):
    """What a browser would follow and jump to in one HTML file."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.ids: set[str] = set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"href", "src"} and value:
                self.urls.append(value)
            if name == "id" and value:
                self.ids.add(value)


def dead_urls(site: Path) -> list[str]:
    """Every local URL in the site's HTML that a browser could not follow."""
    documents = {file.resolve(): Document(file) for file in site.rglob("*.html")}
    dead = []
    for file, document in documents.items():
        for url in document.urls:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            fragment = unquote(parts.fragment)
            there = target.is_file() and target.is_relative_to(site.resolve())
            if there and fragment and target in documents:
                there = fragment in documents[target].ids
            if not there:
                dead.append(f"{file.name}: {url}")
    return dead


def milo_run(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "milo", "run", str(SITEGEN), *map(str, words)]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=HANG, check=False
    )


class TestDiscover:
    def test_finds_markdown_and_skips_what_is_not_written_by_hand(self, folder: MakeFolder) -> None:
        """Hidden folders, environments, build results and the site itself are not sources."""
        skipped = [".git", ".venv", "node_modules", "build", "dist", "site", "a/__pycache__"]
        root = folder(
            {"README.md": "", "a/b.MD": "", "c.markdown": "", "d.txt": "", ".hidden.md": ""}
            | {f"{name}/x.md": "" for name in skipped}
        )
        found = discover(root, root / "site").targets
        assert list(map(str, found)) == ["README.md", "c.markdown", "a/b.MD"]
        assert list(map(str, found.values())) == ["index.html", "c.html", "a/b.html"]

    def test_lists_a_folder_after_its_parent_and_its_index_first(self, folder: MakeFolder) -> None:
        """The order is that of reading, whatever order the disk has."""
        root = folder(dict.fromkeys(["z.md", "a/b.md", "a/README.md", "index.md", "A.md"], ""))
        found = discover(root, root / "site").targets
        assert list(map(str, found)) == ["index.md", "A.md", "z.md", "a/README.md", "a/b.md"]

    def test_refuses_a_folder_without_markdown(self, folder: MakeFolder) -> None:
        """The error says what was looked for and where."""
        root = folder({"notes.txt": "no Markdown"})
        with pytest.raises(SiteError, match=r"no Markdown files \(\*\.md\) in .*docs"):
            discover(root, root / "site")

    @pytest.mark.parametrize(
        ("first", "second", "html"),
        [
            ("README.md", "index.md", "index.html"),
            ("guide/README.md", "guide/index.md", "guide/index.html"),
            ("a.markdown", "a.md", "a.html"),
        ],
    )
    def test_refuses_two_pages_with_one_address(
        self, folder: MakeFolder, first: str, second: str, html: str
    ) -> None:
        """Two files that would overwrite each other are both named."""
        root = folder({first: "", second: ""})
        with pytest.raises(SiteError) as caught:
            discover(root, root / "site")
        expected = f"{first} and {second} would both become {html}; rename one of them"
        assert str(caught.value) == expected

    def test_refuses_a_folder_it_cannot_list(
        self, folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Part of a source folder never passes for the whole of it."""
        root = folder({"README.md": "", "locked/a.md": ""})
        scandir = os.scandir

        def locked(path: str) -> object:
            if Path(path).name == "locked":
                raise PermissionError(13, "Permission denied", path)
            return scandir(path)

        monkeypatch.setattr(os, "scandir", locked)
        with pytest.raises(PermissionError, match="locked"):
            discover(root, root / "site")


class TestParse:
    @pytest.mark.parametrize(
        ("text", "title"),
        [
            ("# The *first* `code` &amp; more\n\n# Second", "The first code & more"),
            ("text before\n\nTwo\nlines\n===\n", "Two lines"),
            ("no heading at all", "page"),
            ("#\n", "page"),
            ("---\ntitle: front matter\n---\n\n## Real", "Real"),
            ("\ufeff# After a byte order mark", "After a byte order mark"),
        ],
    )
    def test_takes_the_title_from_the_first_heading(
        self, folder: MakeFolder, text: str, title: str
    ) -> None:
        """The title is the plain text of the first heading, else the name of the file."""
        assert pages_of(folder({"page.md": text}))["page.md"].title == title

    def test_gives_headings_the_anchors_readers_know(self, folder: MakeFolder) -> None:
        """Anchors are those GitHub makes, repeated headings and deep ones included."""
        text = "# Ab c & d\n\n## Same\n\n## Same\n\n###### Deep `x`\n"
        page = pages_of(folder({"page.md": text}))["page.md"]
        assert page.anchors == {"ab-c--d", "same", "same-1", "deep-x"}

    def test_names_a_file_that_is_not_utf8(self, folder: MakeFolder) -> None:
        """The error says which file, which byte, and where."""
        root = folder({"README.md": "# Fine"})
        (root / "latin.md").write_bytes(b"# Caf\xe9\n")
        with pytest.raises(SiteError) as caught:
            pages_of(root)
        expected = "cannot read latin.md: it is not UTF-8 text (byte 0xe9 at offset 5)"
        assert str(caught.value) == expected

    def test_names_a_dangling_symlink(self, folder: MakeFolder) -> None:
        """A page that points nowhere is an error, not a page that is missing."""
        root = folder({"README.md": "# Fine"})
        (root / "gone.md").symlink_to("nowhere.md")
        with pytest.raises(SiteError, match=r"cannot read gone\.md: No such file"):
            pages_of(root)

    def test_names_a_folder_called_like_a_page(self, folder: MakeFolder) -> None:
        """A folder with the name of a page is an error that says so."""
        root = folder({"README.md": "# Fine", "x.md/inside.md": ""})
        with pytest.raises(SiteError, match=r"cannot read x\.md: Is a directory"):
            pages_of(root)


class TestLinks:
    @pytest.mark.parametrize(
        ("written", "url"),
        [
            ("b.md", "b.html"),
            ("./b.md#part", "b.html#part"),
            ("b.md?plain=1#part", "b.html?plain=1#part"),
            ("../README.md", "../index.html"),
            ("..", "../index.html"),
            ("/README.md", "../index.html"),
            ("/guide/b.md", "b.html"),
            ("#here", "#here"),
            ("with%20space.md", "with%20space.html"),
            ("../LICENSE", "../LICENSE"),
            ("../deep/", "../deep/index.html"),
            ("missing.md", "missing.md"),
            ("../../outside.md", "../../outside.md"),
        ],
    )
    def test_rewrites_a_link_to_where_the_site_has_it(
        self, folder: MakeFolder, written: str, url: str
    ) -> None:
        """A relative link keeps its query and heading and names the HTML file."""
        names = ["README.md", "guide/a.md", "guide/b.md", "guide/with space.md", "deep/README.md"]
        root = folder(dict.fromkeys(names, "") | {"LICENSE": ""})
        link = resolve(written, PurePosixPath("guide/a.md"), discover(root, root / "site"))
        assert link is not None
        assert link.url == url

    @pytest.mark.parametrize(
        "written",
        [
            "https://example.org/x.md",
            "//example.org/x.md",
            "mailto:someone@example.org",
            "data:image/png;base64,AAAA",
            "http://[malformed/x.md",
        ],
    )
    def test_leaves_external_links_alone(self, folder: MakeFolder, written: str) -> None:
        """What names another site is neither rewritten nor checked."""
        root = folder({"a.md": ""})
        assert resolve(written, PurePosixPath("a.md"), discover(root, root / "site")) is None


class TestRender:
    def test_every_page_links_every_page(self, folder: MakeFolder, out: Path) -> None:
        """The navigation reaches every page from every depth."""
        root = folder({"README.md": "# Home", "a.md": "# A", "b/c d/e.md": "# E & F"})
        assert build(root, out) == ()
        assert dead_urls(out) == []
        deep = (out / "b/c d/e.html").read_text(encoding="utf-8")
        assert '<a href="../../a.html">A</a>' in deep
        assert '<a href="../../b/c%20d/e.html" aria-current="page">E &amp; F</a>' in deep
        assert "<title>E &amp; F · Home</title>" in deep

    def test_a_folder_without_readme_gets_an_index(self, folder: MakeFolder, out: Path) -> None:
        """The site always has a first page."""
        root = folder({"a.md": "# Alpha\n\n[home](/)", "sub/b.md": "# Beta"})
        assert build(root, out) == ()
        index = (out / INDEX).read_text(encoding="utf-8")
        assert "<h1>docs</h1>" in index
        assert index.count('<a href="sub/b.html">Beta</a>') == 2
        assert dead_urls(out) == []

    def test_shows_raw_html_as_text(self, folder: MakeFolder, out: Path) -> None:
        """A page cannot bring a script, in its text, its title or a link."""
        attack = "<script>alert(1)</script>"
        text = f"# {attack}\n\n{attack}\n\n[x](javascript:alert(1))\n\n```{attack}\n{attack}\n```\n"
        build(folder({"README.md": text}), out)
        html = (out / INDEX).read_text(encoding="utf-8")
        assert "<script" not in html
        assert "&lt;script&gt;" in html
        assert 'href="javascript' not in html

    def test_colours_code_of_known_languages(self, folder: MakeFolder, out: Path) -> None:
        """Known languages are highlighted, unknown ones are plain, both are escaped."""
        text = "```python\nif a < b: pass\n```\n\n```nonsense\na < b\n```\n"
        build(folder({"README.md": text}), out)
        html = (out / INDEX).read_text(encoding="utf-8")
        assert '<span class="k">if</span>' in html
        assert '<code class="language-nonsense">a &lt; b\n</code>' in html
        assert ".k {" in (out / STYLESHEET).read_text(encoding="utf-8")

    def test_renders_tables(self, folder: MakeFolder, out: Path) -> None:
        """Tables are part of the dialect, and links inside them count."""
        text = "| a |\n|---|\n| [gone](gone.md) |\n"
        assert build(folder({"README.md": text}), out) == (
            "README.md: link target 'gone.md' (no such page)",
        )
        assert "<td>" in (out / INDEX).read_text(encoding="utf-8")


class TestAssets:
    def test_copies_the_files_pages_refer_to(self, folder: MakeFolder, out: Path) -> None:
        """Images and linked files come along byte for byte, files nobody names do not."""
        root = folder(
            {
                "README.md": "[licence](LICENSE) ![x](img/a%20b.png) [dot](.config/x.toml)",
                "guide/a.md": "[![x](../img/c.png)](../run.py#L3)",
                "unused.txt": "",
                "LICENSE": "MIT",
                "run.py": "pass",
                ".config/x.toml": "x = 1",
            }
        )
        (root / "img").mkdir()
        (root / "img/a b.png").write_bytes(b"\x89PNG\x00\xff")
        (root / "img/c.png").write_bytes(b"\x89PNG\x01")
        assert build(root, out) == ()
        assert dead_urls(out) == []
        files = files_below(out)
        assert files["img/a b.png"] == b"\x89PNG\x00\xff"
        assert set(files) == {
            ".sitegen", "_static/style.css", "index.html", "guide/a.html", "LICENSE",
            "img/a b.png", "img/c.png", "run.py", ".config/x.toml",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("linked", "owner"),
        [("a.html", "a.md"), ("_static/style.css", "the site's stylesheet")],
    )
    def test_refuses_a_file_that_would_overwrite_the_site(
        self, folder: MakeFolder, out: Path, linked: str, owner: str
    ) -> None:
        """A linked file and the page in its place are both named."""
        root = folder({"a.md": f"[raw]({linked})", linked: "by hand"})
        with pytest.raises(SiteError) as caught:
            build(root, out)
        assert f"{linked} and {owner} would both become {linked}" in str(caught.value)

    def test_never_copies_from_an_earlier_site(self, folder: MakeFolder) -> None:
        """A link into the output folder is broken on the second build as on the first."""
        root = folder({"README.md": "[me](public/index.html)"})
        first, second = build(root, root / "public"), build(root, root / "public")
        assert first == second == ("README.md: link target 'public/index.html' (no such file)",)


class TestHealth:
    @pytest.mark.parametrize(
        ("link", "reason"),
        [
            ("[x](gone.md)", "'gone.md' (no such page)"),
            ("[x](other.md#gone)", "'other.md#gone' (no such heading)"),
            ("[x](#gone)", "'#gone' (no such heading)"),
            ("![x](gone.png)", "'gone.png' (no such file)"),
            ("[x](empty/)", "'empty/' (a folder without a README.md)"),
            ("[x](../secret.md)", "'../secret.md' (outside the source folder)"),
            ("[x](/../secret.md)", "'/../secret.md' (outside the source folder)"),
            ("[x][ref]\n\n[ref]: gone.md", "'gone.md' (no such page)"),
            ("[![x](gone.png)](other.md)", "'gone.png' (no such file)"),
            ("[x](" + "long" * 100 + ")", "(no such file)"),
            ("[x](nul%00.md)", r"'nul\x00.md' (no such page)"),
        ],
    )
    def test_reports_a_broken_link(
        self, folder: MakeFolder, out: Path, tmp_path: Path, link: str, reason: str
    ) -> None:
        """Each kind of broken link gives one line with page, target and reason."""
        (tmp_path / "secret.md").write_text("not part of the site", encoding="utf-8")
        root = folder({"page.md": f"# Page\n\n{link}\n", "other.md": "", "empty/x.txt": ""})
        (line,) = build(root, out)
        assert line.startswith("page.md: link target ")
        assert line.endswith(reason)

    def test_accepts_what_works(self, folder: MakeFolder, out: Path) -> None:
        """Headings, folders with a README, the top of a page and lines of a file are fine."""
        text = "# Über uns\n\n[a](#über-uns) [b](sub) [c](sub/#part) [d](#) [e](x.py#L1) [f](#top)"
        root = folder({"README.md": text, "sub/README.md": "## Part", "x.py": ""})
        assert build(root, out) == ()

    def test_reports_a_repeated_link_once(self, folder: MakeFolder, out: Path) -> None:
        """The same mistake twice on a page is one line, on two pages it is two."""
        root = folder({"a.md": "[x](gone.md) [y](gone.md)", "b.md": "[x](gone.md)"})
        assert [line.split(":")[0] for line in build(root, out)] == ["a.md", "b.md"]

    def test_the_error_lists_every_broken_link(self) -> None:
        """One error carries all lines, and says how many there are."""
        error = BrokenLinks(("a.md: one", "b.md: two"))
        assert str(error) == "2 broken links:\na.md: one\nb.md: two"
        assert error.broken == ("a.md: one", "b.md: two")


class TestWrite:
    def test_replaces_what_an_earlier_build_wrote(self, folder: MakeFolder, out: Path) -> None:
        """A page that is gone from the sources is gone from the site, folder and all."""
        root = folder({"README.md": "# Home", "old/a.md": "# Old"})
        build(root, out)
        (root / "old/a.md").unlink()
        build(root, out)
        assert set(files_below(out)) == {".sitegen", "_static/style.css", "index.html"}
        assert not (out / "old").exists()

    def test_never_replaces_files_it_did_not_write(self, folder: MakeFolder, out: Path) -> None:
        """A folder with somebody's work in it is refused, before anything is removed."""
        out.mkdir()
        (out / "thesis.tex").write_text("years of work", encoding="utf-8")
        with pytest.raises(SiteError, match="it holds files that no earlier build wrote"):
            build(folder({"README.md": ""}), out)
        assert files_below(out) == {"thesis.tex": b"years of work"}

    def test_never_writes_over_the_sources(self, folder: MakeFolder) -> None:
        """Neither the source folder nor one around it can hold the site."""
        root = folder({"README.md": ""})
        for target in (root, root.parent):
            assert "the source folder" in (why_not_writable(target, root) or "")

    def test_does_not_follow_links_out_of_the_site(self, folder: MakeFolder, out: Path) -> None:
        """Clearing an old site removes a symlink in it, not what that points to."""
        root = folder({"README.md": ""})
        build(root, out)
        (out / "sources").symlink_to(root)
        build(root, out)
        assert (root / "README.md").exists()
        assert not (out / "sources").is_symlink()

    def test_is_the_same_every_time(self, folder: MakeFolder, tmp_path: Path) -> None:
        """Two builds of the same sources are equal byte by byte."""
        names = [f"{folder}/{page}.md" for folder in "bac" for page in "zyx"]
        root = folder(dict.fromkeys(names, "# Title\n\n[x](x.md) ![i](i.png)") | {"b/i.png": ""})
        build(root, tmp_path / "one")
        build(root, tmp_path / "two")
        assert files_below(tmp_path / "one") == files_below(tmp_path / "two")


class TestPipeline:
    def test_runs_render_and_assets_side_by_side(self, folder: MakeFolder, out: Path) -> None:
        """The pipeline has the published phases, and only the two middle ones are parallel."""
        pipeline = sitegen.pipeline(str(folder({"README.md": ""})), str(out))
        order = ["discover", "parse", "assets", "render", "write", "health", "summary"]
        assert pipeline.execution_order() == order
        assert {phase.name for phase in pipeline.phases if phase.parallel} == {"render", "assets"}

    def test_a_broken_link_is_reported_and_skipped(self, folder: MakeFolder, out: Path) -> None:
        """The pipeline completes, and its state holds the broken link as error and as line."""
        root = folder({"README.md": "# Home\n\n[x](gone.md)"})
        state = sitegen.pipeline(str(root), str(out)).run().state
        phases = {phase.name: phase for phase in state.phases}
        line = "README.md: link target 'gone.md' (no such page)"
        assert state.status == "completed"
        assert phases["health"].status == "skipped"
        assert phases["health"].error == f"1 broken link:\n{line}"
        assert [log.line for log in phases["health"].logs] == [line]
        assert [log.line for log in phases["summary"].logs] == [f"site: {out / INDEX}"]

    def test_an_unreadable_file_leaves_the_old_site_alone(
        self, folder: MakeFolder, out: Path
    ) -> None:
        """A build that fails before it writes changes nothing on disk."""
        root = folder({"README.md": "# Home"})
        build(root, out)
        before = files_below(out)
        (root / "gone.md").symlink_to("nowhere.md")
        state = sitegen.pipeline(str(root), str(out)).run().state
        phases = {phase.name: phase for phase in state.phases}
        assert state.status == "failed"
        assert phases["parse"].status == "failed"
        assert phases["write"].status == "pending"
        assert files_below(out) == before

    @pytest.mark.parametrize(
        ("source", "out", "problem"),
        [
            ("missing", "site", "does not exist; name a folder of Markdown"),
            ("file.md", "site", "is not a folder; name a folder of Markdown"),
            ("docs", "file.md", "it is not a folder"),
            ("docs", "docs", "the source folder"),
        ],
    )
    def test_refuses_folders_it_cannot_use(
        self,
        folder: MakeFolder,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        source: str,
        out: str,
        problem: str,
    ) -> None:
        """A wrong folder is a definition error before any phase starts."""
        folder({"README.md": ""})
        (tmp_path / "file.md").write_text("", encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        with pytest.raises(DefinitionError, match=problem):
            sitegen.pipeline(source, out)


class TestMiloRun:
    def test_builds_this_repository_by_default(self, tmp_path: Path) -> None:
        """Without arguments, from any folder, our own documents become a site that works."""
        ended = milo_run(cwd=tmp_path)
        site = tmp_path / "build/site"
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert ended.stdout.rstrip().endswith(f"site: {site / INDEX}")
        assert "every internal link leads somewhere" in ended.stdout, ended.stdout
        assert (site / "packages/milo-core/CHANGELOG.html").exists()
        assert dead_urls(site) == []

    def test_reports_a_planted_broken_link(
        self, folder: MakeFolder, out: Path, tmp_path: Path
    ) -> None:
        """A broken link is shown, the site is there, and the exit code is 0."""
        root = folder({"README.md": "# Home\n\n[x](a.md#nope)", "a.md": "# A"})
        ended = milo_run(root, out, cwd=tmp_path)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        line = "README.md: link target 'a.md#nope' (no such heading)"
        assert line in ended.stdout
        assert ended.stdout.rstrip().endswith(f"site: {out / INDEX}")
        assert (out / "a.html").exists()

    def test_fails_on_an_unreadable_file(
        self, folder: MakeFolder, out: Path, tmp_path: Path
    ) -> None:
        """The file and the reason are named, nothing is written, and the exit code is 1."""
        root = folder({"README.md": "# Home"})
        (root / "bad.md").write_bytes(b"\xff\xfe")
        ended = milo_run(root, out, cwd=tmp_path)
        assert ended.returncode == 1, ended.stdout + ended.stderr
        shown = ended.stdout + ended.stderr
        assert "cannot read bad.md: it is not UTF-8 text" in shown
        assert "Traceback" not in shown
        assert not out.exists()

    def test_fails_without_markdown(self, folder: MakeFolder, out: Path, tmp_path: Path) -> None:
        """A folder without Markdown is a failed phase: exit code 1."""
        ended = milo_run(folder({"notes.txt": ""}), out, cwd=tmp_path)
        assert ended.returncode == 1, ended.stdout + ended.stderr
        assert "no Markdown files (*.md) in" in ended.stdout + ended.stderr

    def test_refuses_a_missing_folder(self, out: Path, tmp_path: Path) -> None:
        """A missing folder is a definition error: one line on stderr, exit code 2."""
        ended = milo_run(tmp_path / "missing", out, cwd=tmp_path)
        assert ended.returncode == 2, ended.stdout + ended.stderr
        (line,) = ended.stderr.splitlines()
        assert f"the source folder {tmp_path / 'missing'} does not exist" in line
        assert ended.stdout == ""
