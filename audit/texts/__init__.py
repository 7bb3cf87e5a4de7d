"""What needs the texts of rows and not only counts: leakage, description length, copies, and other defects of the data.

`sampling.Sampler` holds the same sample of rows on any machine; `leakage.leakage` asks a probe what it can tell from
them; `artefacts.artefacts` looks for what makes figures wrong; `copies.Copies` keeps hashes of all rows.
"""
