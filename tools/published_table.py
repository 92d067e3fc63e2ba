"""Write docs/recipes.md from the published recipes: what each says of itself, and its schedule.

python tools/published_table.py
"""

import argparse
import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / 'docs' / 'recipes.md'
HEAD = """\
# Published recipes

Written by `python tools/published_table.py` from the recipes themselves. Targets are other people's
figures, reported by the source; none was measured here. A rate belongs to the batch beside it: with
another, `--cfg-options auto_scale_lr.enable=True` scales it in proportion.

"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Write docs/recipes.md from the published recipes: about 20 s.'
    )
    return parser.parse_args()


def read(recipe: Path) -> dict[str, str]:
    """The fields of a recipe's docstring: its title, Source, Target and, where there is, Note."""
    text = ast.get_docstring(ast.parse(recipe.read_text(encoding='utf-8')))
    title, *lines = text.splitlines()
    fields, key = {'title': title.rstrip('.')}, None
    for line in filter(None, lines):
        head, colon, rest = line.partition(': ')
        if colon and head in ('Source', 'Target', 'Note'):
            key, line = head, rest
        fields[key] = f'{fields[key]} {line}' if key in fields else line
    return fields


def schedule(recipe: Path) -> str:
    """Its length, batch, rate and weight decay."""
    from vitmm.config import load_config

    config = load_config(recipe)
    train, wrapper = config.train_cfg, config.optim_wrapper
    epochs = train.get('max_epochs')
    length = f'{epochs} epochs' if epochs else f'{train.max_iters} iterations'
    batch = config.auto_scale_lr.base_batch_size
    steps = wrapper.get('accumulative_counts', 1)
    of = f'{batch} x {steps}' if steps > 1 else batch
    optimizer = wrapper.optimizer
    return f'{length}, batch {of}, lr {optimizer.lr:g}, decay {optimizer.weight_decay:g}'


def make_page() -> str:
    """The whole page."""
    parts = []
    for task, name in (
        ('det', 'Detection, COCO'),
        ('seg', 'Segmentation, ADE20K'),
        ('cls', 'Classification, ImageNet-1k'),
    ):
        rows = ['| recipe | source | target (the source) | schedule | note |', '| --- ' * 5 + '|']
        for recipe in sorted((ROOT / 'configs' / task).glob('*/*.py')):
            said = read(recipe)
            link = f'[{recipe.parent.name}/{recipe.name}](../{recipe.relative_to(ROOT)})'
            rows.append(
                f'| {said["title"]}: {link} | {said["Source"]} | {said["Target"]} | '
                f'{schedule(recipe)} | {said.get("Note", "")} |'
            )
        parts.append(f'## {name}\n\n' + '\n'.join(rows) + '\n')
    return HEAD + '\n'.join(parts)


def main() -> None:
    parse_args()
    PAGE.write_text(make_page(), encoding='utf-8')
    print(f'wrote {PAGE.relative_to(ROOT)}', file=sys.stderr)


if __name__ == '__main__':
    main()
