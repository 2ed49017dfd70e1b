"""Weights: where they are, what is in them, and how they become a network.

    registry    the models that have a name, read from weights/registry.toml
    bundled     the weight files that come with the program
    checkpoint  hyper-parameters and tensors as read from a file, and what makes them right
    canonical   the project's own weight file
    torch_file  a file of torch.save -> a flat dictionary of tensors, without running code
    official    the key layout of the authors' release
    loader      a model's name or a weight file -> a network that is ready for inference

`registry` and `bundled` import no torch, so models can be listed at once.
"""
