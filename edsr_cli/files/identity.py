"""Whether a folder is still the one that it was."""

from pathlib import Path

from edsr_cli.errors import PictureError
from edsr_cli.files.names import display_name
from edsr_cli.files.reasons import kind_of_system_error


class FolderIdentity:
    """A folder that must stay the one that it is, as this machine sees it.

    A disk that is unplugged must not be filled up from below: the folder is not to be made again.

    Args:
        path: the folder, which exists.

    Raises:
        PictureError: it does not.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._numbers = self._find()

    def check(self) -> None:
        """Make sure that it is still the same.

        Raises:
            PictureError: it has gone, or another has taken its name.
        """
        if self._find() != self._numbers:
            raise PictureError(
                "the output folder has been replaced by another.",
                "Start again.",
                about=display_name(self._path),
            )

    def _find(self) -> tuple[int, int]:
        try:
            status = self._path.stat()
        except OSError as error:
            raise PictureError(
                f"the output folder has gone ({error.strerror}).",
                "Bring it back, and start again.",
                about=display_name(self._path),
                kind=kind_of_system_error(error, reading=False),
            ) from error
        return status.st_dev, status.st_ino
