"""How good upscaled pictures are: PSNR and SSIM against the originals, as the papers take them."""
