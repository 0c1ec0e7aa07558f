_base_ = [
    '../_base_/models/retinanet_pvtv2-b0_fpn.py',
    '../_base_/datasets/det_bdd100k_ms.py',
    '../_base_/schedules/schedule_3x.py',
    '../_base_/default_runtime.py'
]
train_dataloader = dict(batch_size=2, num_workers=2)
val_dataloader = dict(num_workers=2)
test_dataloader = dict(num_workers=2)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=0.0001, weight_decay=0.0001))
auto_scale_lr = dict(base_batch_size=16)
load_from = 'https://dl.cv.ethz.ch/bdd100k/det/models/retinanet_pvtv2-b0_fpn_3x_det_bdd100k.pth'
