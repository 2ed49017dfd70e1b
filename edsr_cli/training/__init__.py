"""Training of EDSR and MDSR as in the paper (sections 3.3 and 4.2), and beyond it where asked.

start                   from options to a run that may begin
recipe                  what is decided beforehand; pure values and functions
photos, loading, cache  pictures as bytes, read from folders, and kept on disk
patches, feed           batches cut from them, and on their way to the device
initial                 the weights to start from
updater, tail           an update; how the linear tail is run in it
trainer                 updates, one after another
validation, samples     PSNR on pictures that are not learnt from, and parts of them to look at
run, state, log, page   files: state, record, plot, page, weights
"""
