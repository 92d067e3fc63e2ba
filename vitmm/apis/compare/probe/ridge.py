"""A linear model without epochs: least squares with a penalty, from sums over the data."""

import torch

_PENALTIES = tuple(10.0**power for power in range(-6, 3))


class Ridge:
    """Ridge regression (Hoerl and Kennard, 1970), fed batch by batch.

    Features are brought to mean 0 and variance 1. Only sums are kept, (C + 1) x (C + 1) float64
    twice, however much data there is. The penalty is the one with the least squared error on
    what was held out; then all data is used.

    Args:
        channels: C, of the features.
        outputs: K.
        device: of the sums.
    """

    def __init__(self, channels: int, outputs: int, device: torch.device | str = 'cpu') -> None:
        shape = channels + 1
        self.squares = torch.zeros(2, shape, shape, dtype=torch.float64, device=device)
        self.targets = torch.zeros(2, shape, outputs, dtype=torch.float64, device=device)
        self.count = [0, 0]

    def add(self, features: torch.Tensor, targets: torch.Tensor, held_out: bool = False) -> None:
        """Take in features (N, C) and what they should give, (N, K)."""
        ones = features.new_ones(len(features), 1)
        x = torch.cat([features, ones], dim=1).double()
        y = targets.double()
        self.squares[int(held_out)] += x.T @ x
        self.targets[int(held_out)] += x.T @ y
        self.count[int(held_out)] += len(features)

    def fit(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weight (C, K) and bias (K,), float32.

        Raises:
            ValueError: nothing was added.
        """
        if not sum(self.count):
            raise ValueError('no features were added')
        penalty = _PENALTIES[len(_PENALTIES) // 2]
        if all(self.count):
            errors = [
                self._error(solution)
                for solution in _solve(self.squares[0], self.targets[0], _PENALTIES)
            ]
            penalty = _PENALTIES[min(range(len(errors)), key=errors.__getitem__)]
        (solution,) = _solve(self.squares.sum(0), self.targets.sum(0), (penalty,))
        return solution[:-1].float(), solution[-1].float()

    def _error(self, solution: torch.Tensor) -> float:
        """Squared error on what was held out, but for a constant: from the sums alone."""
        squares, targets = self.squares[1], self.targets[1]
        error = (solution * (squares @ solution)).sum() - 2 * (solution * targets).sum()
        return float(error)


def _solve(
    squares: torch.Tensor, targets: torch.Tensor, penalties: tuple[float, ...]
) -> list[torch.Tensor]:
    """Weights and, last, bias (C + 1, K) for each penalty, a multiple of the number of samples."""
    count = squares[-1, -1]
    mean, level = squares[-1, :-1] / count, targets[-1] / count
    covariance = squares[:-1, :-1] / count - mean[:, None] * mean
    scale = covariance.diagonal().clamp(min=0).sqrt()
    scale = torch.where(scale > 1e-8, scale, torch.inf)  # of a constant feature: no weight
    values, vectors = torch.linalg.eigh(covariance / scale[:, None] / scale)
    wanted = vectors.T @ ((targets[:-1] / count - mean[:, None] * level) / scale[:, None])
    found = []
    for penalty in penalties:
        weight = vectors @ (wanted / (values.clamp(min=0) + penalty)[:, None]) / scale[:, None]
        found.append(torch.cat([weight, (level - mean @ weight)[None]]))
    return found
