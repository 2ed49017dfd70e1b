"""ncnn as an engine: CPUs, and GPUs by way of Vulkan, in fp32, with no torch.

    engine      what the upscaler sees; imports the rest, and ncnn, only when it has to
    costs       memory and work of a network, in integers
    blocks      what a network is made of
    library     ncnn as it has to be loaded; its matrices as arrays; errors
    views       the eight views, folded into weights
    graph       a network as ncnn takes it: text and numbers
    streaming   a picture on its way through it
    gpus        which Vulkan devices there are
    vulkan      the engine for them
    overlapping a picture on its way through one
    check       whether it computes what it should

ncnn computes graphs, and this one is the whole network for one strip: what each convolution holds
of the strips before goes in beside the strip.
"""
