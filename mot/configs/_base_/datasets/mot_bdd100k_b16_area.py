# BDD100K MOT: four pairs a GPU, no boxes under 49 square pixels, pairs without a common track too
_base_ = ['./mot_bdd100k.py']
train_dataloader = dict(batch_size=4, dataset=dict(keep_unmatched=True, min_area=49.0))
