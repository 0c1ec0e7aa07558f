_base_ = ['./mask_rcnn_r101_fpn_3x_ins_seg_bdd100k.py']
train_dataloader = dict(batch_size=4)
optim_wrapper = dict(optimizer=dict(lr=0.04))
auto_scale_lr = dict(base_batch_size=32)
load_from = 'https://dl.cv.ethz.ch/bdd100k/ins_seg/models/mask_rcnn_r101_fpn_3x_32bs_ins_seg_bdd100k.pth'
