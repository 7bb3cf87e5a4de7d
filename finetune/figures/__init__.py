"""Figures of gaps and verdicts, drawn from `verdict.json` alone."""
