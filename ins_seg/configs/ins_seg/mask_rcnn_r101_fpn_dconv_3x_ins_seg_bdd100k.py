_base_ = ['./mask_rcnn_r50_fpn_dconv_3x_ins_seg_bdd100k.py']
model = dict(backbone=dict(depth=101, init_cfg=dict(checkpoint='torchvision://resnet101')))
load_from = 'https://dl.cv.ethz.ch/bdd100k/ins_seg/models/mask_rcnn_r101_fpn_dconv_3x_ins_seg_bdd100k.pth'
