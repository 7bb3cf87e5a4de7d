"""The page of a report: one self-contained HTML file with its tables and figures.

Nothing here computes a statistic, reads data or knows what an audit or a verdict is made of: it is given words and
numbers and shows them. `html` builds escaped markup, `document` the page around it.
"""
