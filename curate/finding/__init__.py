"""The search, of the plans tried, for the smallest that brings findings under their limits."""
