"""Files on the Hugging Face hub.

What its users rely on is looked up in its own client: HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN, and
files that HF_HOME holds already. Files are fetched as any others are, by `https`: the client has no
limit on what a server may send, nor on the pauses that it may ask for.
"""

import re
from pathlib import Path

from edsr_cli.checkpoints.registry import Source
from edsr_cli.checkpoints.store.https import Access, Patience, stated_headers

_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE asks for no network at all."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def in_hub_cache(source: Source) -> Path | None:
    """The file in the hub's own cache (HF_HOME), if another program has fetched it."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(source.repo, source.file, revision=source.revision)
    return Path(found) if isinstance(found, str) else None


def cached_sha256(path: Path) -> str:
    """The sha256 that the hub stated for a file in its cache: the name of what the link leads to.

    Empty if it stated none, as for small files and on systems without links.
    """
    name = path.resolve().name
    return name if _SHA256.fullmatch(name) else ""


def address(source: Source) -> str:
    """Where a file is, on the hub or a mirror of it (HF_ENDPOINT)."""
    from huggingface_hub import hf_hub_url

    return hf_hub_url(source.repo, source.file, revision=source.revision)


def access() -> Access:
    """How to ask the hub: with the user's token, if there is one (HF_TOKEN, or a login)."""
    from huggingface_hub import constants, get_token

    endpoint = constants.ENDPOINT.rstrip("/") + "/"
    return Access(get_token() or "", endpoint if endpoint.startswith("http://") else "")


def stated_sha256(source: Source, patience: Patience) -> str:
    """The sha256 that the hub states for a file at a commit; empty if it states none.

    Raises:
        SourceError: the hub does not answer, or has no such file.
    """
    headers = stated_headers(address(source), patience, access())
    etag = headers.get("X-Linked-Etag") or headers.get("ETag") or ""
    etag = etag.removeprefix("W/").strip('"')
    return etag if _SHA256.fullmatch(etag) else ""
