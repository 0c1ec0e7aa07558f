# A small ResNet-18 for scene, trained on drawn scenes from the features of the small detector. To
# make its weights again:
#     bdd100k-models data synth data/synthetic --train 1600 --reach 30 --seed 0
#     bdd100k-models data synth data/synthetic --val 100 --reach 20 --seed 0 --force
#     bdd100k-models train tagging resnet18_mini_scene_synthetic --amp --seed 0 --device cpu
#     bdd100k-models publish work_dirs/resnet18_mini_scene_synthetic/epoch_6.pth \
#         tagging/weights/resnet18_mini_scene_synthetic.pth --half
_base_ = ['./resnet18_mini_timeofday_synthetic.py']
model = dict(head=dict(num_classes=7))
train_dataloader = dict(dataset=dict(tag='scene'))
val_dataloader = dict(dataset=dict(tag='scene'))
test_dataloader = dict(dataset=dict(tag='scene'))
val_evaluator = dict(format=dict(tag='scene'))
test_evaluator = dict(format=dict(tag='scene'))
load_from = 'tagging/weights/resnet18_mini_scene_synthetic.pth'
