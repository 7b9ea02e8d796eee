"""Executors: where the handler of a phase is called.

executor   ``Executor``: what one has to do; subclass it for another place
thread     ``ThreadExecutor``: on a worker of the run, as by default
process    ``ProcessExecutor``: in a process of its own
_installed names, looked up among plugins; refusing what cannot run before a run begins
_calling   one call in a process, from the request to the response
_packing   the request to a phase's process: its handler and arguments, and how to import them
_sources   modules that a fresh interpreter finds only with the file they came from
_outcomes  the response: what came of the handler, there and here
_child     what that process does

``Phase(..., executor="process")`` names a plugin of the entry-point group ``milo.executors``,
a callable that makes an executor; an executor object needs no plugin:

>>> from milo_pipeline import Phase, Pipeline
>>> from milo_pipeline.executors import Executor
>>> class Announcing(Executor):
...     def call(self, phase, arguments):
...         print(f"calling {phase.name} with {arguments}")
...         return phase.handler(**arguments)
>>> pipeline = Pipeline("p", Phase("parse", handler=lambda: 3, executor=Announcing()))
>>> pipeline.run().results
calling parse with {}
{'parse': 3}
"""

from milo_pipeline.executors.executor import THREAD, Executor
from milo_pipeline.executors.process import ProcessExecutor
from milo_pipeline.executors.thread import ThreadExecutor

__all__ = ["THREAD", "Executor", "ProcessExecutor", "ThreadExecutor"]
