"""The ledger of every change: written, explained, undone."""
