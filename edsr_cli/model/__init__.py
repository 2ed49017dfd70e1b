"""What EDSR and MDSR are: their configuration, their shapes, their networks."""
