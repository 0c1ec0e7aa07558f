_base_ = ['./res50_udp_256x192_1x_pose_bdd100k.py']
model = dict(backbone=dict(depth=101, init_cfg=dict(checkpoint='torchvision://resnet101')))
load_from = 'https://dl.cv.ethz.ch/bdd100k/pose/models/res101_udp_256x192_1x_pose_bdd100k.pth'
