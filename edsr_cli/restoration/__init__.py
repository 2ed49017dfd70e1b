"""How much a picture is to be restored: what was done to it, and which strength suits that.

    choice     --restore as the user says it; the thresholds of `auto`; strength and reason
    grid       an earlier JPEG compression, from what it left in the pixels
    noise      the level of noise
    sampling   where they look: pieces of a large picture
    words      what was chosen, in words
    networks   an upscaler for each strength

What a file says by itself is `edsr_cli.images.codecs`'s.
"""
