#!/usr/bin/env python3
"""The reference pipeline: what the mesh of an image has to be.

Written from the specification on top of Pillow, OpenCV and Shewchuk's Triangle,
to make the expected results in crates/spinelift-mesh/tests/goldens. Never
shipped, never run by the build or the tests (see README.md).

    reference.py IMAGE [name=value ...]    one result, as JSON
    reference.py --goldens                 write tests/goldens/reference.json
"""

import hashlib
import json
import math
import multiprocessing
import struct
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

DEFAULTS = {
    "detail_factor": 0.01,
    "alpha_threshold": 10,
    "concave_factor": 0.0,
    "internal_vertex_density": 0,
    "blur_kernel_size": 1,
    "binary_threshold": 128,
    "min_contour_area": 10.0,
    "density_scaling_factor": 1000.0,
    "min_triangle_area": 1.0,
}

TRIANGULATION_TIMEOUT = 20.0  # seconds


# ---------------------------------------------------------------- decoding


def png_chunks(data):
    """(type, body) of every chunk of a PNG known to be well formed."""
    at = 8
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        at += size + 12


def png_colour_key_alpha(data):
    """The alpha plane of a PNG whose tRNS chunk names one transparent colour.

    Pillow drops that chunk for grey of 2, 4 and 16 bits and for RGB of 16 bits;
    the product honours it. Only what the test images need: no interlacing.
    """
    chunks = list(png_chunks(data))
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", chunks[0][1])
    assert colour in (0, 2) and interlace == 0
    channels = 1 if colour == 0 else 3
    key = struct.unpack(f">{channels}H", dict(chunks)[b"tRNS"])
    raw = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))

    step = max(1, channels * depth // 8)  # bytes from a pixel to the next, for the filters
    stride = (width * channels * depth + 7) // 8
    above = bytearray(stride)
    alpha = np.empty((height, width), np.uint8)
    for y in range(height):
        kind = raw[y * (stride + 1)]
        row = bytearray(raw[y * (stride + 1) + 1 : (y + 1) * (stride + 1)])
        for i in range(stride):
            a = row[i - step] if i >= step else 0
            b = above[i]
            c = above[i - step] if i >= step else 0
            paeth = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            row[i] = (row[i] + (0, a, b, (a + b) // 2, paeth)[kind]) & 255
        above = row
        bits = np.unpackbits(np.frombuffer(bytes(row), np.uint8))[: width * channels * depth]
        samples = bits.reshape(width, channels, depth) @ (1 << np.arange(depth - 1, -1, -1))
        alpha[y] = np.where((samples == key).all(axis=1), 0, 255)
    return alpha


def alpha_plane(path):
    """The alpha of every pixel, 255 for an image that has none (height x width)."""
    data = Path(path).read_bytes()
    if data.startswith(b"\x89PNG"):
        chunks = dict(png_chunks(data))
        depth, colour = chunks[b"IHDR"][8:10]
        if b"tRNS" in chunks and (colour, depth) in ((0, 2), (0, 4), (0, 16), (2, 16)):
            return png_colour_key_alpha(data)
    with Image.open(path) as image:
        image.load()
        if "A" in image.getbands() or "transparency" in image.info:
            return np.array(image.convert("RGBA"))[:, :, 3]
        return np.full((image.height, image.width), 255, np.uint8)


# ------------------------------------------------------- contour and outline


def find_contour(alpha, p):
    """The main contour, or None."""
    mask = np.where(alpha < p["alpha_threshold"], 0, alpha).astype(np.uint8)
    k = p["blur_kernel_size"] | 1
    if k > 1:
        mask = cv2.blur(mask, (k, k))
    binary = (mask > p["binary_threshold"]).astype(np.uint8) * 255
    contours, _ = cv2.findContours(binary, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return None
    best = max(contours, key=cv2.contourArea)  # the first among equals
    return None if cv2.contourArea(best) < p["min_contour_area"] else best


def simplify(contour, p):
    """The simplified outline as a list of points, or None if nothing of an area is left."""
    arc = cv2.arcLength(contour, True)
    if len(contour) < 3 or arc <= 0:
        return None
    detail = (min(max(p["detail_factor"], 0.001), 0.050) - 0.001) / (0.050 - 0.001)
    percentage = 0.002 + (1 - math.sqrt(detail)) * (0.03 - 0.002)
    epsilon = max(0.1, percentage * arc * (1 + 4 * p["concave_factor"] / 100))
    outline = cv2.approxPolyDP(contour, epsilon, True).reshape(-1, 2).tolist()
    return outline if len(outline) >= 3 else None


def is_simple(outline):
    """Whether the closed outline neither crosses nor touches itself. Exact."""

    def side(a, b, c):
        d = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        return (d > 0) - (d < 0)

    def within(a, b, c):  # c, collinear with a and b, lies between them
        return min(a[0], b[0]) <= c[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= c[1] <= max(a[1], b[1])

    n = len(outline)
    edges = [(outline[i], outline[(i + 1) % n]) for i in range(n)]
    for i, (a, b) in enumerate(edges):
        if a == b:
            return False
        c = edges[(i + 1) % n][1]
        if side(a, b, c) == 0 and (within(a, b, c) or within(b, c, a)):
            return False  # turns back on itself
        for j in range(i + 2, n if i > 0 else n - 1):
            c, d = edges[j]
            s, t, u, v = side(a, b, c), side(a, b, d), side(c, d, a), side(c, d, b)
            if s != t and u != v:
                return False
            if any(w == 0 and within(*e) for w, e in ((s, (a, b, c)), (t, (a, b, d)), (u, (c, d, a)), (v, (c, d, b)))):
                return False
    return True


# ------------------------------------------------------------- triangulation


def _triangulation_worker(pipe):
    import triangle

    while True:
        try:
            outline, switches = pipe.recv()
        except EOFError:  # the parent is done
            return
        n = len(outline)
        segments = [[i, (i + 1) % n] for i in range(n)]
        try:
            mesh = triangle.triangulate({"vertices": outline, "segments": segments}, switches)
            pipe.send((mesh["vertices"], mesh["triangles"]))
        except Exception:  # also a mesh without triangles
            pipe.send(None)


class Triangulator:
    """Triangle in a process of its own: on crossing outlines it may crash or hang."""

    def __init__(self):
        self.process = None

    def __call__(self, outline, switches):
        if self.process is None:
            context = multiprocessing.get_context("spawn")
            self.pipe, theirs = context.Pipe()
            self.process = context.Process(target=_triangulation_worker, args=(theirs,), daemon=True)
            self.process.start()
            theirs.close()
        try:
            self.pipe.send((outline, switches))
            if self.pipe.poll(TRIANGULATION_TIMEOUT):
                return self.pipe.recv()
        except (EOFError, OSError):
            pass
        self.process.kill()
        self.process.join()
        self.process = None
        return None


def area_bound(p, width, height):
    """The largest area a triangle may have, or None without interior density."""
    density = p["internal_vertex_density"]
    if density <= 0:
        return None
    return max(p["min_triangle_area"], width * height / (density * p["density_scaling_factor"]))


def edge_counts(triangles):
    uses = {}
    for t in triangles:
        for a, b in ((t[0], t[1]), (t[1], t[2]), (t[2], t[0])):
            uses[min(a, b), max(a, b)] = uses.get((min(a, b), max(a, b)), 0) + 1
    boundary = sum(count == 1 for count in uses.values())
    return boundary, len(uses) - boundary


# ------------------------------------------------------------------ the whole


def run(path, parameters, triangulate):
    """Every field of one golden, but for the image's and the parameter set's name."""
    p = DEFAULTS | parameters
    alpha = alpha_plane(path)
    height, width = alpha.shape
    result = {"width": width, "height": height}

    contour = find_contour(alpha, p)
    if contour is None:
        return result | {"error": "CONTOUR_EXTRACTION_FAILED"}
    outline = simplify(contour, p)
    fallback = outline is None
    if fallback:
        outline = [[0, 0], [width, 0], [width, height], [0, height]]
    result |= {
        "contour_points": len(contour),
        "contour_area": cv2.contourArea(contour),
        "arc_length": round(cv2.arcLength(contour, True), 6),
        "contour_sha256": hashlib.sha256(contour.astype("<i4").tobytes()).hexdigest(),
        "fallback_rectangle": fallback,
        "outline": outline,
        "outline_is_simple": is_simple(outline),
    }

    bound = area_bound(p, width, height)
    mesh = triangulate(outline, "p" if bound is None else f"pa{bound}")
    if mesh is None:
        return result | {"reference_crashed": True}
    vertices, triangles = mesh
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    areas = np.abs((b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])) / 2
    result |= {
        "vertex_count": len(vertices),
        "triangle_count": len(triangles),
        "mesh_area": round(float(areas.sum()), 3),
        "max_triangle_area": round(float(areas.max()), 3),
    }
    if bound is None:
        rotated = []
        for t in triangles.tolist():
            least = t.index(min(t))
            rotated.append(t[least:] + t[:least])
        boundary, internal = edge_counts(triangles.tolist())
        result |= {
            "triangles": sorted(rotated),
            "boundary_edge_count": boundary,
            "internal_edge_count": internal,
        }
    return result


if __name__ == "__main__":
    if sys.argv[1:] == ["--goldens"]:
        import cases

        cases.write(run, Triangulator())
    elif len(sys.argv) > 1:
        given = dict(pair.split("=") for pair in sys.argv[2:])
        given = {name: type(DEFAULTS[name])(value) for name, value in given.items()}
        print(json.dumps(run(sys.argv[1], given, Triangulator())))
    else:
        sys.exit(__doc__)
