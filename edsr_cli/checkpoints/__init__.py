"""Weights: where they are, what is in them, and how they become a network.

    registry    the models that have a name, read from weights/registry.toml, and the weight files
                that come with the program
    listing     the registry as a table
    store       weights that are fetched: found, downloaded, checked, converted, kept
    checkpoint  hyper-parameters and weights, and the project's own weight file (canonical)
    loader      a model's name or a weight file -> a network that is ready for inference

From a weight file of anybody's to the canonical form:

    reader      the way from one to the other
    files       a file of torch.save or safetensors -> arrays, without running code
    layouts     every published key layout, as data; hyper-parameters, from keys and shapes
    convention  value range, mean shift and residual scale, how they are folded, and what the user
                or the registry knows of them
    probe       these three, found by trying

torch is imported to read its own files, to try conventions and to make a network. `registry`,
`listing` and `store` do without NumPy, too, so models can be listed at once.
"""
