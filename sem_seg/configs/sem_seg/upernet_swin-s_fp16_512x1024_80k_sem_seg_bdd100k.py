_base_ = [
    '../_base_/models/upernet_swin-t.py',
    '../_base_/datasets/sem_seg_bdd100k_512x1024.py',
    '../_base_/schedules/schedule_80k_swin.py',
    '../_base_/default_runtime.py'
]
model = dict(
    backbone=dict(
        depths=[2, 2, 18, 2],
        init_cfg=dict(
            checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/swin/swin_small_patch4_window7_224_20220317-7ba6d6dd.pth')))
optim_wrapper = dict(type='AmpOptimWrapper', loss_scale='dynamic')
load_from = 'https://dl.cv.ethz.ch/bdd100k/sem_seg/models/upernet_swin-s_fp16_512x1024_80k_sem_seg_bdd100k.pth'
