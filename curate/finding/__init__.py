"""The search for the smallest plan that brings findings under their limits."""
