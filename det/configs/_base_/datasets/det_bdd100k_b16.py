# BDD100K detection: one scale, two images a GPU, a total batch of 16 on eight
_base_ = ['./det_bdd100k.py']
train_dataloader = dict(batch_size=2, num_workers=2)
val_dataloader = dict(num_workers=2)
test_dataloader = dict(num_workers=2)
auto_scale_lr = dict(base_batch_size=16)
