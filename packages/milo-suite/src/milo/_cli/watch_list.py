"""What a pipeline is watched for: its code, what its phases read, and not what they write."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from milo._cli.known_files import is_passed_over
from milo._cli.watcher import Roots
from milo_pipeline import Pipeline, affected_by
from milo_pipeline.patterns import PathPattern


class WatchList:
    """The files whose changes count.

    Those are the files of ``code``, and what phases declare as inputs; where none declares
    any, or there is no pipeline because it does not load, all in ``folder``. Outputs that
    phases declare, and ``products``, never count.
    """

    def __init__(
        self,
        pipeline: Pipeline | None,
        folder: Path,
        code: frozenset[str],
        products: Iterable[str] = (),
    ) -> None:
        declared = [] if pipeline is None else [phase.cache for phase in pipeline.phases]
        inputs = dict.fromkeys(path for each in declared if each for path in each.inputs)
        outputs = [path for each in declared if each for path in each.outputs]
        self._pipeline = pipeline
        self._declares_inputs = bool(inputs)
        self._code = code
        self._inputs = [PathPattern(path) for path in inputs or [os.fspath(folder)]]
        self._products = [PathPattern(path) for path in [*outputs, *products]]
        self._starts = {*code, *(place for each in self._inputs for place in each.places)}

    def __len__(self) -> int:
        """How many files, folders and globs are watched; code in a watched folder is no extra."""
        loose = [file for file in self._code if not any(each.meets(file) for each in self._inputs)]
        return len(self._inputs) + len(loose)

    def roots(self) -> Roots:
        """What has to be watched to hear of all that counts, as the file system is now.

        What is replaced, as editors and version control do it, is heard of by its folder. In
        place of what does not exist stands the nearest folder that does.
        """
        here = os.path.realpath(os.curdir)
        trees: set[str] = set()
        folders = {os.path.dirname(file) for file in self._code}
        for pattern in self._inputs:
            for place in pattern.places:
                if os.path.isdir(place) and not os.path.islink(place):
                    (trees if pattern.is_deep else folders).add(place)
                    if not _is_in(here, place):
                        folders.add(os.path.dirname(place))
                else:
                    folders.add(os.path.dirname(place))
        folders = {_nearest_folder(folder) for folder in folders}
        trees = {tree for tree in trees if not any(_is_below(tree, other) for other in trees)}
        folders = {each for each in folders if not any(_is_in(each, tree) for tree in trees)}
        return Roots(frozenset(trees), frozenset(folders))

    def counts(self, file: str) -> bool:
        """Whether something is to be done when ``file`` has changed; it may be gone."""
        if any(each.meets(file) for each in self._products):
            return False
        is_read = any(each.meets(file) for each in self._inputs)
        return file in self._code or (is_read and not self._is_passed_over(file))

    def is_code(self, file: str) -> bool:
        """Whether the pipeline has to be loaded again when ``file`` has changed."""
        return self._pipeline is None or file in self._code

    def phases_reading(self, files: Collection[str]) -> frozenset[str]:
        """The names of the phases that have to run again when ``files`` have changed."""
        if self._pipeline is None:
            return frozenset()
        if self._declares_inputs:
            return affected_by(self._pipeline, files)
        return frozenset(phase.name for phase in self._pipeline.phases)

    def _is_passed_over(self, file: str) -> bool:
        """Whether a name on the way to it says that nobody means it, unless by that very name."""
        starts = [start for start in self._starts if _is_in(file, start)]
        nearest = max(starts, key=len, default=os.path.dirname(file))
        way = os.path.relpath(file, nearest)
        if way == os.curdir:
            return False
        folders = [nearest]
        for name in way.split(os.sep)[:-1]:
            folders.append(os.path.join(folders[-1], name))
        return is_passed_over(way) or any(
            os.path.exists(os.path.join(folder, "pyvenv.cfg")) for folder in folders[1:]
        )


def _nearest_folder(path: str) -> str:
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(os.path.join(folder, "")) and path != folder


def _is_in(path: str, folder: str) -> bool:
    return path == folder or _is_below(path, folder)
