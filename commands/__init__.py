"""The commands, a file each family: parse, call one function, print. No logic lives here; `cli.py` joins them."""
