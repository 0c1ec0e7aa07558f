_base_ = [
    '../_base_/models/mobilenetv2.py',
    '../_base_/datasets/pose_udp_320x256.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py'
]
model = dict(
    head=dict(
        decoder=dict(
            _delete_=True,
            type='PublishedUDPHeatmap',
            input_size=(256, 320),
            heatmap_size=(64, 80),
            sigma=2,
            blur_kernel_size=11)),
    test_cfg=dict(shift_heatmap=False))
load_from = 'https://dl.cv.ethz.ch/bdd100k/pose/models/mobilenetv2_udp_320x256_1x_pose_bdd100k.pth'
