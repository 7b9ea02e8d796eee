"""The page around a report: its style, its few lines of script, and what it may not do.

The policy admits this style and this script, by their hashes, and nothing else: no other
script or style, no picture, no request, whatever a phase may have printed.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import Final

from milo_pipeline.exports._look import LOOKS
from milo_pipeline.exports._text import markup

_COLOURS: Final = "\n".join(
    f"rect.{status} {{ fill: {look.strong} }} "
    f"span.{status} {{ background: {look.pale}; border-color: {look.strong} }}"
    for status, look in LOOKS.items()
)

_STYLE: Final = (
    """
:root { color-scheme: light dark; --ground: #fff; --panel: #f6f7f9; --text: #1b1f24;
  --faint: #59636e; --line: #d5dae0; --link: #0b57a4; --stderr: #a04000 }
@media (prefers-color-scheme: dark) { :root { --ground: #14171b; --panel: #1e2328; --text: #e6e9ed;
  --faint: #a2acb7; --line: #39414a; --link: #7cb8ff; --stderr: #ffb27a } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 76rem; padding: 1.25rem; background: var(--ground);
  color: var(--text); font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { margin: 0; font-size: 1.6rem; line-height: 1.25 }
h2 { margin: 2rem 0 .6rem; font-size: 1.15rem }
h3 { margin: 0; font-size: 1rem }
p { margin: .4rem 0 }
a { color: var(--link) }
.faint { color: var(--faint) }
.head { display: flex; flex-wrap: wrap; gap: .4rem .8rem; align-items: center }
.sign, .badge { display: inline-block; border: 1px solid; color: #000; text-align: center }
.sign { width: 1.5em; border-radius: .4em; font-size: .85em; line-height: 1.5 }
.badge { padding: 0 .7em; border-radius: 1em }
.card { margin: .6rem 0; padding: .7rem .9rem; background: var(--panel);
  border: 1px solid var(--line); border-left: 4px solid #d55e00; border-radius: .4rem }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr));
  gap: 1.2rem 2rem; align-items: start }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .5rem .2rem 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: middle; font-weight: normal }
thead th { color: var(--faint); font-size: .85rem }
.number { width: 6.5rem; text-align: right; white-space: nowrap }
.gantt { table-layout: fixed }
.gantt .name { width: 30% }
.gantt .name a { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.gantt .state { width: 2.4rem }
.gantt .item .name { padding-left: 1.2rem; color: var(--faint); overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap }
.gantt .item .faint { margin: 0; font-size: .85rem }
td:last-child, th:last-child { padding-right: 0 }
.gantt svg { display: block; width: 100%; overflow: visible }
.gantt text { fill: var(--faint); font-size: 11px }
.gantt .rest { fill: var(--line) }
.scroll { overflow: auto; max-height: 80vh; border: 1px solid var(--line); border-radius: .4rem }
.scroll svg { display: block }
pre { margin: .5rem 0; padding: .6rem .8rem; max-height: 32rem; overflow: auto;
  background: var(--panel); border: 1px solid var(--line); border-radius: .4rem;
  font: 12.5px/1.45 ui-monospace, monospace; white-space: pre-wrap; scroll-margin-top: 4rem }
pre.traceback { white-space: pre }
.stderr { color: var(--stderr) }
summary { padding: .25rem 0; cursor: pointer }
summary:focus-visible, a:focus-visible { outline: 2px solid var(--link); outline-offset: 2px }
.phase { border-bottom: 1px solid var(--line) }
.phase .faint { margin-left: .5em; font-size: .9em }
.body { margin-left: 1.1rem; scroll-margin-top: 4rem }
.filter { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1rem 0 }
.filter[hidden], [data-name][hidden] { display: none }
input, select { padding: .35rem .6rem; font: inherit; color: inherit; background: var(--panel);
  border: 1px solid var(--line); border-radius: .4rem; max-width: 100% }
@media (max-width: 40rem) { body { padding: .8rem }
  .gantt .name { width: 36% } .gantt .number { display: none } .gantt .between { display: none } }
@media print { body { max-width: none; padding: 0 } .filter { display: none }
  pre, .scroll { max-height: none; overflow: visible } .card, tr { break-inside: avoid } }
"""
    + _COLOURS
    + "\n"
)

_SCRIPT: Final = """
const form = document.querySelector(".filter");
const rows = [...document.querySelectorAll("[data-name]")];
form.hidden = false;
form.addEventListener("submit", event => event.preventDefault());
form.addEventListener("input", () => {
  const text = form.elements.text.value.toLowerCase(), status = form.elements.status.value;
  for (const row of rows) {
    const named = row.dataset.name.toLowerCase().includes(text);
    row.hidden = !(named && (!status || row.dataset.status === status));
  }
});
function reveal() {
  const found = document.getElementById(location.hash.slice(1))?.closest("details");
  if (found) { found.open = true; found.scrollIntoView(); }
}
addEventListener("hashchange", reveal);
reveal();
"""


def page(title: str, body: str) -> str:
    """A whole document around ``body``, which is markup; ``title`` is text."""
    policy = (
        f"default-src 'none'; style-src {_hash(_STYLE)}; script-src {_hash(_SCRIPT)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{markup(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
