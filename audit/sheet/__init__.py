"""The audit as a page: what `page` is given, part by part. It says what the scorecard says, with all the figures.

`whole` puts the page together; `first_screen`, `axis_part`, `group_heat`, `term_part`, `away_part`, `vector_part`,
`data_part` and `about_part` are its parts; `examples` fetches the rows that are shown when, and only when,
they are asked for.
"""
