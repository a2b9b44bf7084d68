"""Finding lesions: a small U-Net, trained on the masks that came with the images.

unet.py       the network
examples.py   images with masks, as it is trained on them
train.py      its training, which resumes where it was killed
overlap.py    how well a found lesion covers the true one
pictures.py   what was found, drawn over the images
segment.py    all of it as one run in MLflow
segmenter.py  the network kept in the store, so that images are cropped to what it finds
"""
