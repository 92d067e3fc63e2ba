"""Drawing one room of the embedded depth set, by casting a ray through every pixel.

A pinhole camera 0.8 to 1.8 metres above the floor looks up or down a furnished room. The tiles,
the walls' stripes and the room's light have true sizes, as have the balls and boxes that stand
about, so that one image tells the depth: by perspective, texture, size, shading and occlusion.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

HEIGHT, WIDTH = 128, 160  # pixels
TILE = 0.5  # side of a floor tile, metres


@dataclass
class Room:
    """One drawn image and the geometry behind it.

    Lengths are metres in the room's axes: x right, y down, z ahead, the camera at the origin. The
    camera is turned down by ``pitch`` about x.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        depth: (H, W) float32, metres along the camera's own axis (not along the ray), as depth
            cameras give it.
        surface: (H, W) int, what a pixel shows: 0 to 5 the walls (x low and high, y low and high,
            z low and high; y high is the floor), then the boxes, then the balls.
        focal: pixels; the camera's axis goes through the middle of the image.
        pitch: radians.
        walls: (2, 3), the room's low and high corner.
        boxes: (n, 2, 3), likewise.
        balls: (m, 4), centre and radius.
    """

    image: np.ndarray
    depth: np.ndarray
    surface: np.ndarray
    focal: float
    pitch: float
    walls: np.ndarray
    boxes: np.ndarray
    balls: np.ndarray = field(repr=False)


def draw_room(rng: np.random.Generator) -> Room:
    """A room 2.5 to 7 metres wide and 3.5 to 9.5 long with 2 to 6 things in it."""
    eyes, wide, long = rng.uniform(0.8, 1.8), rng.uniform(2.5, 7), rng.uniform(3.5, 9.5)
    left = -wide * rng.uniform(0.3, 0.7)
    walls = np.array([(left, eyes - rng.uniform(2.4, 3), -1), (left + wide, eyes, long)])
    boxes, balls = _furnish(rng, walls)
    focal, pitch = WIDTH * rng.uniform(0.75, 0.95), rng.uniform(-0.1, 0.4)
    rays = _rays(focal, pitch)

    # A ray advances by 1 along the camera's axis, so what it takes to hit is the depth.
    hits = [_leave(rays, walls)]
    surface, depth = np.argmin(hits[0], -1), np.min(hits[0], -1)
    for number, hit in enumerate(
        [*(_enter(rays, box) for box in boxes), *(_touch(rays, ball) for ball in balls)], 6
    ):
        surface, depth = np.where(hit < depth, number, surface), np.minimum(hit, depth)
    image = _shade(rng, rays * depth[..., None], surface, walls, boxes, balls)
    return Room(image, depth.astype(np.float32), surface, focal, pitch, walls, boxes, balls)


def _furnish(rng, walls):
    """Boxes and balls on the floor, apart from one another and from the camera."""
    things, boxes, balls = [], [], []
    wanted = rng.integers(2, 7)
    for _ in range(50):
        if len(things) == wanted:
            break
        radius = rng.uniform(0.15, 0.6)
        x = rng.uniform(walls[0, 0] + radius, walls[1, 0] - radius)
        z = rng.uniform(1.3 + radius, walls[1, 2] - radius)
        if any(np.hypot(x - a, z - b) < radius + c for a, b, c in things):
            continue
        things.append((x, z, radius))
        floor = walls[1, 1]
        if rng.random() < 0.5:
            balls.append((x, floor - radius, z, radius))
        else:
            half = radius * np.array([rng.uniform(0.5, 0.7), rng.uniform(0.5, 0.7)])
            tall = rng.uniform(0.3, 1.4)
            boxes.append(
                [(x - half[0], floor - tall, z - half[1]), (x + half[0], floor, z + half[1])]
            )
    return np.array(boxes).reshape(-1, 2, 3), np.array(balls).reshape(-1, 4)


def _rays(focal, pitch):
    """(H, W, 3): through the middle of each pixel, 1 long along the camera's axis."""
    u = (np.arange(WIDTH) + 0.5 - WIDTH / 2) / focal
    v = (np.arange(HEIGHT) + 0.5 - HEIGHT / 2) / focal
    u, v = np.meshgrid(u, v)
    cos, sin = np.cos(pitch), np.sin(pitch)
    return np.stack([u, v * cos + sin, cos - v * sin], -1)


def _slabs(rays, box):
    """Where each ray crosses the planes of a box: (H, W, 3) at the low side, at the high one."""
    with np.errstate(divide='ignore'):
        return box[0] / rays, box[1] / rays


def _leave(rays, walls):
    """(H, W, 6): how far it is to each wall of the room around, infinite behind the camera."""
    far = np.stack(_slabs(rays, walls), -1).reshape(*rays.shape[:2], 6)
    return np.where(far > 0, far, np.inf)


def _enter(rays, box):
    """(H, W): how far it is to a box that stands before the camera, infinite beside it."""
    low, high = _slabs(rays, box)
    enter, leave = np.minimum(low, high).max(-1), np.maximum(low, high).min(-1)
    return np.where((enter < leave) & (enter > 0), enter, np.inf)


def _touch(rays, ball):
    """(H, W): how far it is to a ball, likewise."""
    square, along = (rays**2).sum(-1), rays @ ball[:3]
    inside = along**2 - square * (ball[:3] @ ball[:3] - ball[3] ** 2)
    return np.where(inside > 0, (along - np.sqrt(np.maximum(inside, 0))) / square, np.inf)


def _shade(rng, points, surface, walls, boxes, balls):
    """(H, W, 3) uint8: each surface's paint and pattern under a lamp at the ceiling."""
    normals, paint = np.zeros_like(points), np.zeros_like(points)
    lamp = np.array([walls[:, 0].mean(), walls[0, 1] + 0.2, rng.uniform(1, walls[1, 2] - 1)])
    for number in np.unique(surface):
        here = surface == number
        place = points[here]
        if number < 6:
            normal = np.zeros_like(place)
            normal[:, number // 2] = 1 if number % 2 == 0 else -1
        elif number < 6 + len(boxes):
            low, high = boxes[number - 6]
            offset = (place - (low + high) / 2) / (high - low)
            normal = np.eye(3)[np.abs(offset).argmax(-1)] * np.sign(offset)
        else:
            ball = balls[number - 6 - len(boxes)]
            normal = (place - ball[:3]) / ball[3]
        normals[here] = normal
        paint[here] = _paint(rng, place, number)
    way = lamp - points
    distance = np.linalg.norm(way, axis=-1, keepdims=True)
    light = (normals * way / distance).sum(-1, keepdims=True).clip(0) / (1 + 0.03 * distance**2)
    image = paint * (0.45 + 0.75 * light) + rng.normal(0, rng.uniform(1, 4), points.shape)
    return image.clip(0, 255).astype(np.uint8)


def _paint(rng, place, number):
    """(n, 3), the colours of a surface at places on it: dull for the room, vivid for the things."""
    if number >= 6:
        colour = rng.permutation([rng.uniform(160, 250), rng.uniform(40, 200), rng.uniform(10, 80)])
        return np.broadcast_to(colour, place.shape)
    colour = rng.uniform(120, 210) + rng.uniform(-20, 20, 3)
    if number == 3:
        odd = np.floor(place[:, [0, 2]] / TILE).sum(-1) % 2
    else:
        odd = np.floor(place[:, 2 if number < 2 else 0] / (TILE / 2)) % 2
    return colour * (1 - rng.uniform(0.05, 0.25) * odd[:, None])
