"""Whole folders: find the pictures, keep every stage busy, remember what is done.

`scanning` finds tasks, `pipeline` does them, `manifest` remembers them, and `run` puts these
together. What comes out is one `record.Record` for each file and one `summary.Summary`.
"""
