_base_ = [
    '../_base_/models/upernet_vit-b.py',
    '../_base_/datasets/sem_seg_bdd100k_512x1024.py',
    '../_base_/schedules/schedule_80k_vit.py',
    '../_base_/default_runtime.py'
]
model = dict(
    pretrained='pretrain/deit_small_patch16_224-cd65a155.pth',
    backbone=dict(embed_dims=384, num_heads=6, drop_path_rate=0.1),
    neck=dict(in_channels=[384, 384, 384, 384], out_channels=384),
    decode_head=dict(in_channels=[384, 384, 384, 384]),
    auxiliary_head=dict(in_channels=384))
load_from = 'https://dl.cv.ethz.ch/bdd100k/sem_seg/models/upernet_deit-s_512x1024_80k_sem_seg_bdd100k.pth'
