"""What the site's phases do, as plain functions that know nothing of Milo.

    discover.py   which Markdown files there are and the HTML file each becomes
    parse.py      one file: its title, its headings, its links, its Markdown tokens
    links.py      where a link leads
    markdown.py   the Markdown dialect and the colours of its code blocks
    render.py     pages to HTML
    assets.py     the stylesheet, and the files that pages link to
    write.py      the folder the site is written to
    health.py     which links lead nowhere
    errors.py     what can go wrong

``sitegen.py``, one folder up, wires these into a pipeline.
"""
