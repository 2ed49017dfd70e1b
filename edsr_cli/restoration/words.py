"""What was chosen, in words; needs no pictures."""

ASKED = "--restore"
"""The reason of a choice that the user has made."""


def describe(strength: float, reason: str | None) -> str:
    """A choice in words, for messages."""
    if reason == ASKED:
        return f"restored with strength {strength:g}" if strength else "not restored"
    if not strength:
        return f"{reason}, so nothing is restored"
    return f"{reason}, restored with strength {strength:g} (--restore)"
