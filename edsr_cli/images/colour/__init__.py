"""What the numbers of pixels mean: profiles, colour spaces, and conversion to RGB."""
