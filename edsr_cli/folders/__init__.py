"""Whole folders: find the pictures, do them once, remember what is done.

`roots` settles which output folder belongs to which input, `scanning` and `watching` find tasks
among what `globs` takes, `recipe` says what outputs are made with, `manifest` and `ledger` remember
them, and `run` puts these together. The work itself is that of `edsr_cli.jobs`; `summary` adds its
records up.
"""
