"""Which of several choices no other one beats."""

from collections.abc import Sequence


def front(points: Sequence[tuple[float, float]], higher_is_better: bool = True) -> list[int]:
    """The points that are not dominated: none is at least as good in both and better in one.

    Args:
        points: pairs (cost, score); a low cost is good.
        higher_is_better: whether a high score is.

    Returns:
        Their indices, by cost.
    """
    sign = 1 if higher_is_better else -1
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -sign * points[i][1]))
    found: list[int] = []
    for i in order:
        score = sign * points[i][1]
        best = sign * points[found[-1]][1] if found else float('-inf')
        twin = bool(found) and points[i] == points[found[-1]]
        if score > best or twin:
            found.append(i)
    return found
