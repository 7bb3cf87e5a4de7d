"""Room of the gate: what a rule says in words, how a finding has changed since a baseline, and what CI systems read.

`evenset.audit.check` judges; here is what it judges with (`change`, `baseline`) and how its cases are shown
(`words`, `screen`, `junit`, `markdown`, `sarif`).
"""
