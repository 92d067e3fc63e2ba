"""A look at an image as pictures: one board of each kind, and a sheet of all."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from vitmm.visualization.features import norms, top_channels
from vitmm.visualization.looking import Look
from vitmm.visualization.panels import board, boxed, heat, outlined, overlay, scaled, spread
from vitmm.visualization.pca import Components

_ROW = 6  # panels beside each other

Panel = tuple[np.ndarray, str]


class Boards:
    """Draws looks.

    Args:
        classes: names by label, or None.
        side: pixels of the longer side of each picture.
        alpha: of the colours over the image, 0 to 1.
        channels: how many single channels of each map are shown.
        neck: show the maps of the neck too.
    """

    def __init__(
        self,
        classes: Sequence[str] | None,
        side: int = 256,
        alpha: float = 0.5,
        channels: int = 4,
        neck: bool = False,
    ) -> None:
        self.classes, self.side, self.alpha = classes, side, alpha
        self.channels, self.neck = channels, neck

    def draw(
        self,
        look: Look,
        title: str,
        what: Sequence[str],
        components: Components | None = None,
        masked: Components | None = None,
    ) -> dict[str, np.ndarray]:
        """The boards by kind, and ``'sheet'``; (H, W, 3) uint8.

        Args:
            look: at one image.
            title: names it.
            what: of ``features``, ``attention``, ``gradcam``, ``pca``.
            components: of all images, for ``pca``.
            masked: those of the foreground alone, if it is to be coloured alone.
        """
        original = self._scaled(look.picture), 'as the network sees it'
        first: list[Panel] = [original]
        boards: dict[str, np.ndarray] = {}
        rows: list[list[Panel]] = []
        if 'pca' in what:
            shown = [self._pca(look, components, masked)]
            boards['pca'] = board([[original, *shown]], title)
            first += shown
        if 'attention' in what:
            mean, *heads = self._attention(look)
            several = [original, mean, *heads]
            boards['attention'] = board(_in_rows(several), title)
            first += [mean, *heads[: _ROW - 1 - len(first)]]
        if 'features' in what:
            levels = self._features(look)
            boards['features'] = board([[original, *level] for level in levels], title)
            first += [level[0] for level in levels]
        if 'gradcam' in what:
            shown_rows = self._cams(look)
            boards['gradcam'] = board(shown_rows or [[original]], title)
            rows += shown_rows
        return {**boards, 'sheet': board([*_in_rows(first), *rows], title)}

    def _scale(self, picture: np.ndarray) -> tuple[float, tuple[int, int]]:
        """By how much a picture is resized, and to which (H, W)."""
        height, width = picture.shape[:2]
        scale = self.side / max(height, width)
        return scale, (max(1, round(height * scale)), max(1, round(width * scale)))

    def _scaled(self, picture: np.ndarray) -> np.ndarray:
        scale, (height, width) = self._scale(picture)
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        return cv2.resize(picture, (width, height), interpolation=way)

    def _spread(
        self, look: Look, values: torch.Tensor, pitch: tuple[float, float], smooth: bool = False
    ) -> np.ndarray:
        scale, size = self._scale(look.picture)
        return spread(values.numpy(), (pitch[0] * scale, pitch[1] * scale), size, smooth)

    def _features(self, look: Look) -> list[list[Panel]]:
        """For each map the norm, then the channels that vary most."""
        found = []
        for label, values, pitch in [*look.levels, *(look.neck if self.neck else ())]:
            named = [(f'{label}; norm', norms(values))]
            chosen = top_channels(values, self.channels)
            named += [(f'channel {number}', channel) for number, channel in chosen]
            row = []
            for words, one in named:
                laid = self._spread(look, one, pitch)
                # Cells that saw nothing but padding would take all the colours.
                row.append((heat(scaled(laid, *np.percentile(laid, (1, 99)))), words))
            found.append(row)
        return found

    def _attention(self, look: Look) -> list[Panel]:
        """The mean of the heads, then each of several."""
        found = look.attention
        shown = [(found.heads.mean(0), f'attention: {found.title}, mean of heads')]
        if len(found.heads) == 1:
            shown = [(found.heads[0], f'attention: {found.title}')]
        else:
            shown += [(head, f'head {n}') for n, head in enumerate(found.heads)]
        panels = []
        for values, words in shown:
            laid = self._spread(look, values, found.pitch, smooth=True)
            high = float(values.max())
            over = overlay(self._scaled(look.picture), scaled(laid, 0, high), self.alpha)
            panels.append((over, f'{words}, max {high:.{0 if high >= 10 else 1}f} times uniform'))
        return panels

    def _cams(self, look: Look) -> list[list[Panel]]:
        """A row for each class: what is scored, then Grad-CAM on each level."""
        rows = []
        scale, _ = self._scale(look.picture)
        for label, words in look.scores.words.items():
            picture = self._scaled(look.picture)
            if label in look.scores.boxes:
                picture = boxed(picture, look.scores.boxes[label], scale)
            if label in look.scores.regions:
                picture = outlined(picture, look.scores.regions[label])
            row = [(picture, f'{self._name(label)}: {words}')]
            for level, cam in look.cams.get(label, ()):
                laid = self._spread(look, cam, level.pitch, smooth=True)
                over = overlay(
                    self._scaled(look.picture), scaled(laid, 0, float(cam.max())), self.alpha
                )
                nothing = '' if cam.any() else '; nothing speaks for it'
                row.append((over, f'Grad-CAM, {level.label}{nothing}'))
            rows += _in_rows(row)
        return rows

    def _pca(self, look: Look, components: Components, masked: Components | None) -> Panel:
        label, values, pitch = look.levels[components.level]
        colours = (masked or components).colours(values)
        words = f'PCA, {label}'
        if masked is not None:
            colours[~components.foreground(values)] = 1
            words += '; background white'
        laid = self._spread(look, colours, pitch)
        return (255 * laid).round().astype(np.uint8), words

    def _name(self, label: int) -> str:
        return self.classes[label] if self.classes else f'class {label}'


def _in_rows(panels: list[Panel]) -> list[list[Panel]]:
    return [panels[n : n + _ROW] for n in range(0, len(panels), _ROW)]
