_base_ = ['./gcnet_mask_rcnn_r50_fpn_3x_ins_seg_bdd100k.py']
model = dict(backbone=dict(depth=101, init_cfg=dict(checkpoint='torchvision://resnet101')))
load_from = 'https://dl.cv.ethz.ch/bdd100k/ins_seg/models/gcnet_mask_rcnn_r101_fpn_3x_ins_seg_bdd100k.pth'
