_base_ = [
    '../../../sem_seg/configs/_base_/models/upernet_swin-t.py',
    '../_base_/datasets/drivable_bdd100k_512x1024.py',
    '../../../sem_seg/configs/_base_/schedules/schedule_80k_swin.py',
    '../../../sem_seg/configs/_base_/default_runtime.py'
]
model = dict(
    backbone=dict(
        depths=[2, 2, 18, 2],
        init_cfg=dict(
            checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/swin/swin_small_patch4_window7_224_20220317-7ba6d6dd.pth')),
    decode_head=dict(num_classes=3),
    auxiliary_head=dict(num_classes=3))
load_from = 'https://dl.cv.ethz.ch/bdd100k/drivable/models/upernet_swin-s_512x1024_80k_drivable_bdd100k.pth'
