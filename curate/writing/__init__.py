"""Curated rows on their way to files: whole or not at all, in parts, by several processes, resumable."""
