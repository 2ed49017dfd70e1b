"""Training of EDSR and MDSR as in the paper (sections 3.3 and 4.2), and beyond it where asked.

recipe, schedule   what is decided beforehand; pure values and functions
photos, patches    pictures as bytes, and batches cut from them
feed               batches on their way to the device
initial            the weights to start from
updater            an update
trainer            updates, and the state to go on from
validation         PSNR on pictures that are not learnt from
run, log           files: state, record, plot, weights
"""
