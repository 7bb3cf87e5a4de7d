"""Charts as inline SVG: no script, no picture file, colours of the page, so that dark mode and print are the page's.

`frame` has scales, ticks and axes, `forest` intervals in rows, `scatter` points with names, `curves` lines over a
level; `style` is the CSS that a page with charts needs.
"""
