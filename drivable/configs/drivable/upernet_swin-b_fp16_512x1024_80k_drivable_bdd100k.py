_base_ = [
    '../../../sem_seg/configs/_base_/models/upernet_swin-t.py',
    '../_base_/datasets/drivable_bdd100k_512x1024.py',
    '../../../sem_seg/configs/_base_/schedules/schedule_80k_swin.py',
    '../../../sem_seg/configs/_base_/default_runtime.py'
]
model = dict(
    backbone=dict(
        embed_dims=128,
        depths=[2, 2, 18, 2],
        num_heads=[4, 8, 16, 32],
        init_cfg=dict(
            checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/swin/swin_base_patch4_window7_224_20220317-e9b98025.pth')),
    decode_head=dict(in_channels=[128, 256, 512, 1024], num_classes=3),
    auxiliary_head=dict(in_channels=512, num_classes=3))
optim_wrapper = dict(type='AmpOptimWrapper', loss_scale='dynamic')
load_from = 'https://dl.cv.ethz.ch/bdd100k/drivable/models/upernet_swin-b_fp16_512x1024_80k_drivable_bdd100k.pth'
