"""PyTorch as an engine: CPUs, NVIDIA's and AMD's GPUs, Apple's.

    engine      what the upscaler sees; imports the rest, and torch, only when it has to
    hardware    what can be told of the machine without torch
    costs       memory and work of a network, in integers
    devices     what the machine offers, and how torch says that something is amiss
    assembly    the plain network -> the streamed one
    node        what a node of it is, and the rows that it holds
    streaming   its nodes
    tail        the node behind the body
    ensemble    the eight views, folded into the weights
    steady      strips from the middle of pictures, prepared once for their shape
    graphs      work that a GPU does as a whole; for training, too
    transfer    arrays to tensors and back

`tests/test_rooms.py` says who else may import torch.
"""
