_base_ = [
    '../_base_/models/hrnet_w32.py',
    '../_base_/datasets/pose_dark_320x256.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py'
]
model = dict(head=dict(decoder=dict(input_size=(256, 320), heatmap_size=(64, 80), unbiased=True)))
load_from = 'https://dl.cv.ethz.ch/bdd100k/pose/models/hrnet_w32_dark_320x256_1x_pose_bdd100k.pth'
