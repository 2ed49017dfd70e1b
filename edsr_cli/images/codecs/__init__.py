"""One module for each family of formats: all that is to be known of it, reading and writing.

`Codec` is what a format can be asked. It stands itself for those of which Pillow tells all there
is; the modules of this package answer where it does not, or not rightly, and decode or encode by
themselves where they do it better.
"""

from edsr_cli.images.codecs.codec import Codec, Opened, Rows
from edsr_cli.images.codecs.headers import beginning, bits_in_header
from edsr_cli.images.codecs.whole import Encoder

__all__ = ["Codec", "Encoder", "Opened", "Rows", "beginning", "bits_in_header"]
