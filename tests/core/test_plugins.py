"""The entry-point loader: what is found, what loads, and how a broken one is reported."""

import logging
import sys
from importlib.metadata import EntryPoint

import pytest

from milo_core import MiloError, MissingPluginError, PluginError, plugins
from milo_core.plugins import PluginGroup, load_group, plugin_group

GROUP = "milo.testing"


def entry(name, value):
    return EntryPoint(name, value, GROUP)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on ``sys.path``, and a function that installs distributions and modules there."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def install(name, entries, version="1.0", metadata=True, **modules):
        info = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        if metadata:
            text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            (info / "METADATA").write_text(text)
        (info / "entry_points.txt").write_text(entries)
        for module, source in modules.items():
            (tmp_path / f"{module}.py").write_text(source)

    yield install
    for module in set(sys.modules) - before:
        del sys.modules[module]


def test_an_installed_plugin_is_found_and_imported_on_demand(site):
    """Names come from metadata alone; the module is imported by the first ``load``."""
    site("fine-plugin", f"[{GROUP}]\nfine = fine_module:value\n", fine_module="value = object()")
    group = PluginGroup(GROUP)
    assert group.names() == ("fine",)
    assert group.distribution("fine") == "fine-plugin 1.0"
    assert "fine_module" not in sys.modules
    value = group.load("fine")
    assert value is sys.modules["fine_module"].value
    assert group.load("fine") is value


def test_load_all_gives_the_good_and_reports_the_bad(site):
    """One broken distribution does not keep the others from loading, and is named."""
    site("fine", f"[{GROUP}]\nfine = fine_module:value\n", fine_module="value = 1")
    site("broken", f"[{GROUP}]\nbad = bad_module:value\n", "2.0", bad_module="1 / 0")
    loaded, errors = PluginGroup(GROUP).load_all()
    assert loaded == {"fine": 1}
    (error,) = errors
    assert (error.group, error.plugin, error.distribution) == (GROUP, "bad", "broken 2.0")
    assert "'bad'" in str(error) and "broken 2.0" in str(error) and "ZeroDivision" in str(error)
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert isinstance(error, MiloError)


@pytest.mark.parametrize(
    "value",
    ["no_such_module_at_all", "json:no_such_name", "json:dumps.no_such", "not a valid value!"],
)
def test_a_plugin_that_does_not_load_is_a_plugin_error(value):
    """A missing module, a missing name and a malformed value are all errors of that plugin."""
    try:
        group = PluginGroup(GROUP, entry_points=[entry("bad", value)])
    except ValueError:  # newer Pythons refuse to make such an entry point at all
        return
    with pytest.raises(PluginError, match=f"plugin 'bad' of {GROUP} .* does not load") as caught:
        group.load("bad")
    assert caught.value.__cause__ is not None


def test_a_plugin_that_ends_the_program_is_only_broken(site):
    """``sys.exit()`` in a plugin's module is its failure and does not end the host."""
    site("rude", f"[{GROUP}]\nrude = rude_module\n", rude_module="import sys; sys.exit(3)")
    with pytest.raises(PluginError, match=r"rude 1.0.* does not load: SystemExit: 3"):
        PluginGroup(GROUP).load("rude")


def test_an_interrupt_during_an_import_is_not_swallowed(site):
    """Ctrl-C while a plugin is imported reaches the user, and the plugin can load later."""
    site("slow", f"[{GROUP}]\nslow = slow_module:value\n", slow_module="raise KeyboardInterrupt")
    group = PluginGroup(GROUP)
    with pytest.raises(KeyboardInterrupt):
        group.load("slow")
    sys.modules["slow_module"] = type(sys)("slow_module")
    sys.modules["slow_module"].value = "late"
    assert group.load("slow") == "late"


@pytest.mark.parametrize("text", ["[{}]\nno equals sign\n", "[{}]\n= no name\n", "\udcff"])
def test_malformed_metadata_breaks_nobody_else(site, tmp_path, caplog, text):
    """An unreadable ``entry_points.txt`` is reported with its distribution; others are found."""
    site("fine", f"[{GROUP}]\nfine = json:dumps\n")
    mangle(site, tmp_path, text)
    with caplog.at_level(logging.WARNING, logger="milo_core.plugins"):
        loaded, errors = PluginGroup(GROUP).load_all()
    assert list(loaded) == ["fine"]
    assert "mangled 1.0" in caplog.text + "".join(map(str, errors))


def mangle(site, folder, text):
    """Install a distribution whose ``entry_points.txt`` is ``text``."""
    site("mangled", "")
    path = folder / "mangled-1.0.dist-info" / "entry_points.txt"
    path.write_bytes(text.format(GROUP).encode(errors="surrogateescape"))


def test_malformed_metadata_does_not_double_a_distribution(site, tmp_path, monkeypatch):
    """A distribution hidden by another version earlier on the path stays hidden."""
    site("fine-plugin", f"[{GROUP}]\nfine = json:dumps\n", "2.0")
    mangle(site, tmp_path, "[{}]\nno equals sign\n")
    hidden = tmp_path / "later" / "Fine_Plugin-1.0.dist-info"
    hidden.mkdir(parents=True)
    (hidden / "METADATA").write_text("Metadata-Version: 2.1\nName: Fine_Plugin\nVersion: 1.0\n")
    (hidden / "entry_points.txt").write_text(f"[{GROUP}]\nfine = json:loads\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "later")])
    assert PluginGroup(GROUP).distribution("fine") == "fine-plugin 2.0"


def test_a_distribution_without_metadata_is_unknown(site):
    """A distribution that does not say its name is reported as unknown, and its plugins load."""
    site("anonymous", f"[{GROUP}]\nfine = json:dumps\n", metadata=False)
    group = PluginGroup(GROUP)
    assert group.distribution("fine") == "unknown"
    assert group.load_all()[1] == ()


def test_a_missing_plugin_names_what_is_there():
    """Asking for an unknown name lists the known ones, or says there are none."""
    group = PluginGroup(GROUP, entry_points=[entry("b", "json"), entry("a", "json")])
    with pytest.raises(MissingPluginError, match=r"'c' in milo.testing \(found: a, b\)") as caught:
        group.load("c")
    assert (caught.value.group, caught.value.plugin, caught.value.distribution) == (GROUP, "c", "")
    with pytest.raises(MissingPluginError, match="found: none"):
        PluginGroup(GROUP, entry_points=[]).load("c")


def test_a_name_declared_twice_is_refused_for_both(site):
    """Two distributions with one name: neither is loaded and both are named."""
    site("one", f"[{GROUP}]\nsame = json:dumps\n")
    site("two", f"[{GROUP}]\nsame = json:loads\n", "2.0")
    group = PluginGroup(GROUP)
    assert group.names() == ("same",)
    loaded, (error,) = group.load_all()
    assert loaded == {}
    assert "one 1.0" in error.distribution and "two 2.0" in error.distribution
    assert "declared more than once" in str(error)


def test_success_is_remembered(monkeypatch):
    """What a plugin loads to is asked for once, whatever it is."""
    loads = []
    monkeypatch.setattr(EntryPoint, "load", lambda self: loads.append(self.name))
    group = PluginGroup(GROUP, entry_points=[entry("none", "json")])
    assert group.load("none") is None
    assert group.load("none") is None
    assert loads == ["none"]


def test_failure_is_remembered(monkeypatch):
    """A plugin that failed fails again with the same error, whose traceback does not grow."""
    loads = []

    def fail(self):
        loads.append(self.name)
        raise ImportError("gone")

    monkeypatch.setattr(EntryPoint, "load", fail)
    group = PluginGroup(GROUP, entry_points=[entry("bad", "json")])
    errors, depths = [], []
    for _ in range(3):
        with pytest.raises(PluginError) as caught:
            group.load("bad")
        errors.append(caught.value)
        depths.append(len(caught.traceback))
    assert loads == ["bad"]
    assert errors[0] is errors[1] is errors[2]
    assert depths[0] == depths[1] == depths[2]


def test_a_refused_plugin_stays_broken():
    """What a host refuses for its type is an error with both types, then and later."""
    group = PluginGroup(GROUP, entry_points=[entry("odd", "json:dumps")])
    assert callable(group.load("odd"))
    error = group.refuse("odd", "a table of handlers", 5)
    assert "should be a table of handlers, is 5" in str(error)
    with pytest.raises(PluginError) as caught:
        group.load("odd")
    assert caught.value is error
    assert group.load_all() == ({}, (error,))


def test_simultaneous_first_loads_agree(together):
    """Eight threads that load a plugin for the first time all get one object."""
    for _ in range(20):
        entries = [entry("odd", "collections:OrderedDict"), entry("bad", "json:nothing")]
        group = PluginGroup(GROUP, entry_points=entries)

        def failing(group=group):
            with pytest.raises(PluginError) as caught:
                group.load("bad")
            return caught.value

        assert len(set(together(*[lambda group=group: group.load("odd")] * 8))) == 1
        assert len(set(map(id, together(*[failing] * 8)))) == 1


def test_groups_are_scanned_once_per_process(site):
    """``plugin_group`` remembers its scan and ``load_group`` uses it."""
    site("fine", "[milo.testing.once]\nfine = json:dumps\n")
    plugins.plugin_group.cache_clear()
    group = plugin_group("milo.testing.once")
    site("later", "[milo.testing.once]\nlater = json:dumps\n")
    try:
        assert plugin_group("milo.testing.once") is group
        assert list(load_group("milo.testing.once")[0]) == ["fine"]
    finally:
        plugins.plugin_group.cache_clear()


def test_an_empty_group_loads_nothing():
    """A group that nobody declares has no names, no plugins and no errors."""
    group = PluginGroup("milo.testing.nobody")
    assert (group.names(), group.load_all(), group.distribution("x")) == ((), ({}, ()), "")
