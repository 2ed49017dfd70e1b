"""Weights: where they are, what is in them, and how they become a network.

    registry    the models that have a name, read from weights/registry.toml
    model_row   what a row of it says, and what follows from that
    listing     the registry as a table
    bundled     the weight files that come with the program
    store       those that are fetched: found, downloaded, checked, converted, kept
    checkpoint  hyper-parameters and tensors as read from a file, and what makes them right
    canonical   the project's own weight file
    loader      a model's name or a weight file -> a network that is ready for inference

From a weight file of anybody's to the canonical form:

    reader           the way from one to the other
    tensor_file      a file of torch.save or safetensors -> tensors, without running code
    torch_file       the former
    foreign          files and networks of other kinds, to say what they are
    layouts          every published key layout, as data
    hyperparameters  blocks, features, scale and architecture, from keys and shapes
    stated           what the user or the registry knows of a file
    convention       value range, mean shift and residual scale, and how they are folded
    probe            these three, found by trying

`registry`, `model_row`, `listing` and `bundled` import no torch, so models can be listed at once;
`store` does so only to convert a file.
"""
