"""From good pictures to pictures as they are: blurred, noisy, compressed."""
