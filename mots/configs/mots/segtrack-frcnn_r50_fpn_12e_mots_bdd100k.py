# The second stage in full: detector, embeddings and mask head learn, from QDTrack on.
_base_ = ['segtrack-frcnn_r50_fpn_12e_fixed_mots_bdd100k.py']
model = dict(stage='segtrack')
