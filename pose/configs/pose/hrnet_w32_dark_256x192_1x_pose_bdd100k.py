_base_ = [
    '../_base_/models/hrnet_w32.py',
    '../_base_/datasets/pose_dark_256x192.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py'
]
model = dict(head=dict(decoder=dict(unbiased=True)))
load_from = 'https://dl.cv.ethz.ch/bdd100k/pose/models/hrnet_w32_dark_256x192_1x_pose_bdd100k.pth'
