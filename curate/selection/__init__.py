"""Steps that add, drop, repeat and weight rows: how many of each cell are wanted, and which ones they are."""
