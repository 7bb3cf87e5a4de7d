"""Word vectors, given or trained on the audited text: directions in them, and the tests of word sets (WEAT and kin).

Vectors come from `vectors.load_vectors` or `training.train_vectors`; `directions.direction` finds what definitional
pairs have in common and scores words along it; `word_sets.standard_tests` makes the tests of the literature.
"""
