"""The kinds of `edsr_cli.errors.Kind` in words, for tables and headings.

They are found by value, so that who only wants the words need not import the rest.
"""

SKIPPED = {
    "complete": "up to date",
    "edited": "changed since they were made, left as they are",
}
"""Why pictures were skipped."""

FAILED = {
    "unreadable": "damaged, or no picture",
    "too-large": "too large",
    "permission": "no permission",
    "missing": "vanished, or a link to nowhere",
    "name": "a name that the system cannot take",
    "exists": "an output that edsr batch has not made is in the way; --overwrite replaces it",
    "output": "the output cannot be written",
    "disk-full": "the disk is full",
    "manifest": "what is done cannot be recorded",
    "memory": "not enough memory",
    "weights": "the network's output is not finite",
    "unexpected": "unexpected",
}
"""Why pictures have failed."""
