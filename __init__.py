"""evenset: will your fine-tuning data teach a model a social bias?

Audit a labelled text data set, change it so that it does not, and prove on a trained model that the gap shrank. The
rooms are ``evenset.data``, ``evenset.audit``, ``evenset.curate`` and ``evenset.finetune``; the command is ``evenset``.
Importing this package imports none of them.
"""

__version__ = "0.1.0"
