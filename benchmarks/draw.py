"""A picture of iterations.py's ratios: what share of a peer's time vitmm takes.

python benchmarks/iterations.py --json FILE && python benchmarks/draw.py FILE --out PICTURE
"""

import argparse
import json
from pathlib import Path

COLOURS = {'OpenMMLab': '#4477aa', 'timm': '#228833', 'torchvision': '#ee6677'}


def main() -> None:
    parser = argparse.ArgumentParser(description='Draw the ratios of benchmarks/iterations.py.')
    parser.add_argument('files', nargs='+', type=Path, help='what --json wrote')
    parser.add_argument('--out', type=Path, required=True, help='a .png, .jpg, .svg or .pdf')
    args = parser.parse_args()
    told = [json.loads(path.read_text()) for path in args.files]
    rows = [row for one in told for row in one['rows'] if 'ratio' in row]

    from vitmm.apis.curves import save_figure  # heavy

    save_figure(draw(rows, about(told[0])), args.out)
    print(args.out)


def about(told: dict) -> str:
    """The machine, in a line."""
    machine, settings = told['machine'], told['settings']
    where = machine['gpu'] or f'{machine["cores"]} cores, {settings["threads"]} thread'
    return f'{where}, {settings["precision"]}, torch {machine["versions"]["torch"]}'


def draw(rows: list[dict], machine: str):
    """Bars of the medians with the quartiles, a line at the peers' time."""
    from matplotlib.figure import Figure

    bars = [(*row['row'].split(' / '), row['ratio']) for row in rows]
    bars.sort(key=lambda bar: list(COLOURS).index(bar[1]))
    bars.reverse()  # from below
    figure = Figure(figsize=(8, 1.1 + 0.32 * len(bars)), layout='constrained')
    panel = figure.subplots()
    for place, (_, peer, ratio) in enumerate(bars):
        spread = [[ratio['median'] - ratio['low']], [ratio['high'] - ratio['median']]]
        panel.barh(place, ratio['median'], color=COLOURS[peer], height=0.7, xerr=spread)
        panel.text(0.01, place, f'{ratio["median"]:.2f}', va='center', color='white', fontsize=9)
    panel.axvline(1, color='black', linewidth=1)
    panel.set_yticks(range(len(bars)), [recipe for recipe, _, _ in bars], fontsize=9)
    panel.set_xlabel(f"time of a training iteration, as a share of the peer's ({machine})")
    panel.set_xlim(0, max(1.1, *(ratio['high'] for _, _, ratio in bars)))
    for peer, colour in COLOURS.items():
        panel.bar(0, 0, color=colour, label=f"beside {peer}'s own")
    figure.legend(loc='outside upper center', ncols=len(COLOURS), fontsize=9, frameon=False)
    return figure


if __name__ == '__main__':
    main()
