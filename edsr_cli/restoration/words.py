"""What was chosen, in words; needs no pictures."""

ASKED = "--restore"
"""The reason of a choice that the user has made."""


def describe(strength: float, reason: str | None) -> str:
    """A choice in words, for messages."""
    if not strength:
        return f"{reason}, so nothing is restored"
    if reason == ASKED:
        return f"restored with strength {strength:g}"
    return f"{reason}, restored with strength {strength:g} (--restore)"
