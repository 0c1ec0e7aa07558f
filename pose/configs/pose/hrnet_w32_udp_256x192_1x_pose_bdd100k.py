_base_ = [
    '../_base_/models/hrnet_w32.py',
    '../_base_/datasets/pose_udp_256x192.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py'
]
model = dict(
    head=dict(
        decoder=dict(
            _delete_=True,
            type='PublishedUDPHeatmap',
            input_size=(192, 256),
            heatmap_size=(48, 64),
            sigma=2,
            blur_kernel_size=11)),
    test_cfg=dict(shift_heatmap=False))
load_from = 'https://dl.cv.ethz.ch/bdd100k/pose/models/hrnet_w32_udp_256x192_1x_pose_bdd100k.pth'
