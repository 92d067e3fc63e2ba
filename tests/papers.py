"""What the papers and repositories of the published recipes say, each with its place."""

from typing import NamedTuple

IMAGENET = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])  # of every recipe, RGB


class Paper(NamedTuple):
    """What a recipe must say. Batches are of one step of the optimiser, lengths of training."""

    lr: float
    batch: int
    decay: float  # of weights
    drop_path: float
    length: int  # iterations from 1000 on, epochs below
    warmup: tuple[int, float]  # how long, from which part of the rate; in epochs for images
    clip: float | None = None
    end: str = 'PolyLR'
    test: object = None  # the window and its stride, the square, or the size of tests


SLIDE = ((512, 512), (341, 341))
SLIDE_640 = ((640, 640), (426, 426))
POLY, STEPS = (1500, 1e-6), (1000, 1e-3)
WIDE, SQUARE = (1333, 800), (1024, 1024)
M = 'MultiStepLR'
C = 'CosineAnnealingLR'
PAPERS = {
    # detectron2 projects/ViTDet/configs/COCO/mask_rcnn_vitdet_{b,l}_100ep.py, common/optim.py
    'mask-rcnn_vit-base-p16-mae_sfpn_8xb8-lsj-100e_coco': Paper(
        1e-4, 64, 0.1, 0.1, 184375, (250, 1e-3), None, M, SQUARE
    ),
    'mask-rcnn_vit-large-p16-mae_sfpn_8xb8-lsj-100e_coco': Paper(
        1e-4, 64, 0.1, 0.4, 184375, (250, 1e-3), None, M, SQUARE
    ),
    # ours
    'faster-rcnn_vit-base-p16-mae_fpn_8xb8-lsj-36e_coco': Paper(
        1e-4, 64, 0.1, 0.1, 66375, (250, 1e-3), None, M, SQUARE
    ),
    'retinanet_vit-base-p16-mae_fpn_8xb8-lsj-36e_coco': Paper(
        1e-4, 64, 0.1, 0.1, 66375, (250, 1e-3), 1.0, M, SQUARE
    ),
    # mmdet configs/swin/mask-rcnn_swin-{t,s}-p4-w7_fpn_*ms-crop-3x_coco.py; Swin-B is ours
    'mask-rcnn_swin-tiny-p4-w7_fpn_8xb2-ms-crop-3x_coco': Paper(
        1e-4, 16, 0.05, 0.2, 36, STEPS, None, M, WIDE
    ),
    'mask-rcnn_swin-small-p4-w7_fpn_8xb2-ms-crop-3x_coco': Paper(
        1e-4, 16, 0.05, 0.2, 36, STEPS, None, M, WIDE
    ),
    'mask-rcnn_swin-base-p4-w7_fpn_8xb2-ms-crop-3x_coco': Paper(
        1e-4, 16, 0.05, 0.3, 36, STEPS, None, M, WIDE
    ),
    # mmdet configs/convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco.py; S and B are ours
    'mask-rcnn_convnext-tiny_fpn_8xb2-ms-crop-3x_coco': Paper(
        1e-4, 16, 0.05, 0.4, 36, STEPS, None, M, WIDE
    ),
    'mask-rcnn_convnext-small_fpn_8xb2-ms-crop-3x_coco': Paper(
        1e-4, 16, 0.05, 0.6, 36, STEPS, None, M, WIDE
    ),
    'mask-rcnn_convnext-base_fpn_8xb2-ms-crop-3x_coco': Paper(
        1e-4, 16, 0.05, 0.7, 36, STEPS, None, M, WIDE
    ),
    # facebookresearch/ConvNeXt object_detection/configs/convnext/cascade_mask_rcnn_convnext_base_…
    'cascade-mask-rcnn_convnext-base_fpn_8xb2-4conv1fc-giou-ms-crop-3x_coco': Paper(
        2e-4, 16, 0.05, 0.7, 36, STEPS, None, M, WIDE
    ),
    # mmdet configs/dino/dino-5scale_swin-l_8xb2-{12,36}e_coco.py, dino-4scale_r50_8xb2-12e_coco.py
    'dino-5scale_swin-large-p4-w12_8xb2-36e_coco': Paper(
        1e-4, 16, 1e-4, 0.2, 36, (0, 1), 0.1, M, WIDE
    ),
    # mmseg configs/mae/mae-base_upernet_8xb2-amp-160k_ade20k-512x512.py
    'upernet_vit-base-p16-mae_8xb2-160k_ade20k-512x512': Paper(
        1e-4, 16, 0.05, 0.1, 160000, POLY, test=SLIDE
    ),
    # mmseg configs/beit/beit-{base,large}_…; microsoft/unilm beit/semantic_segmentation
    'upernet_beit-base-p16_8xb2-160k_ade20k-640x640': Paper(
        3e-5, 16, 0.05, 0.1, 160000, POLY, test=SLIDE_640
    ),
    'upernet_beit-large-p16_8xb1-320k_ade20k-640x640': Paper(
        2e-5, 16, 0.05, 0.2, 320000, (3000, 1e-6), test=SLIDE_640
    ),
    # mmseg configs/swin/swin-{tiny,small,base}-patch4-window7-in1k-pre_upernet_8xb2-160k_…
    'upernet_swin-tiny-p4-w7_8xb2-160k_ade20k-512x512': Paper(6e-5, 16, 0.01, 0.3, 160000, POLY),
    'upernet_swin-small-p4-w7_8xb2-160k_ade20k-512x512': Paper(6e-5, 16, 0.01, 0.3, 160000, POLY),
    'upernet_swin-base-p4-w7_8xb2-160k_ade20k-512x512': Paper(6e-5, 16, 0.01, 0.3, 160000, POLY),
    # mmseg configs/convnext/convnext-{tiny,small,base}_upernet_8xb2-amp-160k_ade20k-512x512.py
    'upernet_convnext-tiny_8xb2-160k_ade20k-512x512': Paper(
        1e-4, 16, 0.05, 0.4, 160000, POLY, test=SLIDE
    ),
    'upernet_convnext-small_8xb2-160k_ade20k-512x512': Paper(
        1e-4, 16, 0.05, 0.3, 160000, POLY, test=SLIDE
    ),
    'upernet_convnext-base_8xb2-160k_ade20k-512x512': Paper(
        1e-4, 16, 0.05, 0.4, 160000, POLY, test=SLIDE
    ),
    # mmseg configs/vit/vit_{vit,deit}-b16_mln_upernet_8xb2-160k_ade20k-512x512.py
    'upernet_vit-base-p16_8xb2-160k_ade20k-512x512': Paper(6e-5, 16, 0.01, 0.0, 160000, POLY),
    'upernet_deit-base-p16_8xb2-160k_ade20k-512x512': Paper(6e-5, 16, 0.01, 0.1, 160000, POLY),
    # mmseg configs/dpt/dpt_vit-b16_8xb2-160k_ade20k-512x512.py
    'dpt_vit-base-p16_8xb2-160k_ade20k-512x512': Paper(6e-5, 16, 0.01, 0.0, 160000, POLY),
    # dinov2_vitb14_ade20k_linear_config.py of DINOv2's release
    'linear_vit-base-p14-dinov2_8xb2-40k_ade20k-512x512': Paper(
        1e-3, 16, 1e-4, 0.0, 40000, POLY, test=SLIDE
    ),
    # facebookresearch/dinov3 dinov3/eval/segmentation/configs/config-ade20k-linear-training.yaml,
    # in the copies of eminorhan/dinov3 and hnu-vis/SLE-T, which agree
    'linear_vit-base-p16-dinov3_8xb2-40k_ade20k-512x512': Paper(
        1e-3, 16, 1e-3, 0.0, 40000, POLY, None, C, SLIDE
    ),
    # facebookresearch/mae FINETUNE.md; mmpretrain configs/mae/benchmarks
    'vit-base-p16-mae_8xb128-100e_in1k': Paper(
        2e-3, 1024, 0.05, 0.1, 100, (5, 1e-4), None, C, (256, 224)
    ),
    'vit-large-p16-mae_8xb128-50e_in1k': Paper(
        4e-3, 1024, 0.05, 0.2, 50, (5, 1e-4), None, C, (256, 224)
    ),
    # mmpretrain configs/swin_transformer/swin-tiny_16xb64_in1k.py
    'swin-tiny-p4-w7_16xb64-300e_in1k': Paper(
        1e-3, 1024, 0.05, 0.2, 300, (20, 1e-3), 5.0, C, (256, 224)
    ),
    # mmpretrain configs/convnext/convnext-tiny_32xb128_in1k.py
    'convnext-tiny_32xb128-300e_in1k': Paper(
        4e-3, 4096, 0.05, 0.1, 300, (20, 1e-3), None, C, (256, 224)
    ),
}
