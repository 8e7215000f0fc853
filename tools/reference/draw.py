#!/usr/bin/env python3
"""Draws the test images in crates/spinelift-mesh/tests/images, always the same ones.

formats/  the ways in which an image can be written, around one figure
shapes/   what there can be to outline, all as 8-bit RGBA PNG
invalid/  what has to be refused
"""

import io
import math
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

IMAGES = Path(__file__).resolve().parents[2] / "crates/spinelift-mesh/tests/images"

# ------------------------------------------------------------------- writing


def chunk(kind, body, crc=None):
    if crc is None:
        crc = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)


SIGNATURE = b"\x89PNG\r\n\x1a\n"
IEND = chunk(b"IEND", b"")
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6  # PNG's colour types
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def ihdr(width, height, depth, colour, interlace=0):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def packed(row, depth):
    """A row of samples (width x channels) as the bytes of a PNG row."""
    if depth >= 8:
        return row.astype(">u2" if depth == 16 else np.uint8).tobytes()
    bits = (row.reshape(-1, 1) >> np.arange(depth - 1, -1, -1)) & 1
    return np.packbits(bits.astype(np.uint8)).tobytes()


def filtered(samples, depth):
    """The rows of one pass, each with the next of the five filters in turn."""
    step = max(1, samples.shape[2] * depth // 8)
    out = b""
    above = None
    for y, row in enumerate(samples):
        cur = np.frombuffer(packed(row, depth), np.uint8).astype(int)
        b = np.zeros_like(cur) if above is None else above
        a, c = (np.concatenate([np.zeros(step, int), v])[: len(v)] for v in (cur, b))
        pa, pb, pc = abs(b - c), abs(a - c), abs(a + b - 2 * c)
        paeth = np.where((pa <= pb) & (pa <= pc), a, np.where(pb <= pc, b, c))
        prediction = [0, a, b, (a + b) // 2, paeth][y % 5]
        out += bytes([y % 5]) + ((cur - prediction) & 255).astype(np.uint8).tobytes()
        above = cur
    return out


def png(samples, depth, colour, palette=None, trns=None, interlaced=False, idat_size=None, before=b"", level=9):
    """A PNG of these samples (height x width x channels), every byte in our hands."""
    samples = np.asarray(samples, int)
    height, width = samples.shape[:2]
    samples = samples.reshape(height, width, -1)
    if interlaced:
        passes = [samples[y::dy, x::dx] for x, y, dx, dy in ADAM7]
        raw = b"".join(filtered(part, depth) for part in passes if part.size)
    else:
        raw = filtered(samples, depth)
    data = zlib.compress(raw, level)
    size = idat_size or len(data)
    return b"".join(
        [SIGNATURE, ihdr(width, height, depth, colour, int(interlaced)), before]
        + ([chunk(b"PLTE", np.asarray(palette, np.uint8).tobytes())] if palette is not None else [])
        + ([chunk(b"tRNS", trns)] if trns is not None else [])
        + [chunk(b"IDAT", data[i : i + size]) for i in range(0, len(data), size)]
        + [IEND]
    )


def encoded(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def write(name, data):
    path = IMAGES / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


# ------------------------------------------------------------------- drawing

FIGURE = [
    (0.04, 0.52), (0.14, 0.22), (0.20, 0.34), (0.36, 0.24), (0.52, 0.02), (0.58, 0.25), (0.74, 0.40),
    (0.97, 0.12), (0.88, 0.50), (0.99, 0.93), (0.72, 0.64), (0.55, 0.74), (0.60, 0.98), (0.44, 0.80), (0.20, 0.78),
]  # fmt: skip


def polygon(width, height, points, oversampling=8):
    """The polygon (coordinates from 0 to 1) as an alpha plane with soft edges."""
    big = Image.new("L", (width * oversampling, height * oversampling))
    ImageDraw.Draw(big).polygon([(x * big.width, y * big.height) for x, y in points], fill=255)
    return np.array(big.resize((width, height), Image.BOX))


def hard(width, height, draw):
    """An alpha plane drawn without soft edges by draw(ImageDraw)."""
    image = Image.new("L", (width, height))
    draw(ImageDraw.Draw(image))
    return np.array(image)


def rectangles(width, height, *boxes, value=255):
    """Boxes x, y, w, h."""
    alpha = np.zeros((height, width), np.uint8)
    for x, y, w, h in boxes:
        alpha[y : y + h, x : x + w] = value
    return alpha


def soft(alpha, radius):
    return np.array(Image.fromarray(alpha).filter(ImageFilter.GaussianBlur(radius)))


def painted(alpha):
    """An RGBA image with this alpha and some colours, which are beside the point."""
    height, width = alpha.shape
    y, x = np.mgrid[:height, :width]
    colours = [(x * 5 + y * 2) % 256, (x + y * 7 + 90) % 256, (x * 3 ^ y) % 256]
    return np.stack([*colours, alpha], axis=2).astype(np.uint8)


def scribble(seed, width=56, height=44, strokes=9):
    """A tangle of strokes, one to three pixels wide, as of hair or lightning."""
    rng = np.random.default_rng(seed)

    def draw(d):
        x, y = rng.integers(0, width), rng.integers(0, height)
        for _ in range(strokes):
            nx, ny = rng.integers(0, width), rng.integers(0, height)
            d.line([int(x), int(y), int(nx), int(ny)], fill=255, width=int(rng.integers(1, 4)))
            if rng.random() < 0.75:
                x, y = nx, ny

    return hard(width, height, draw)


# ------------------------------------------------------------------- formats


def formats():
    width, height = 61, 47  # odd, so that rows of few bits a pixel end within a byte
    alpha = polygon(width, height, FIGURE)
    inside = alpha > 127
    colour = painted(alpha)
    rgb, grey = colour[:, :, :3], colour[:, :, 0].astype(int)
    rng = np.random.default_rng(1)
    low = rng.integers(0, 256, alpha.shape)  # low bytes for the 16-bit images
    deep = lambda plane: plane.astype(int) * 256 + low.reshape(low.shape + (1,) * (plane.ndim - 2))

    def put(name, *args, **options):
        write(f"formats/{name}.png", png(*args, **options))

    # Without alpha: the outline is the frame.
    for depth in (1, 2, 4, 8):
        put(f"grey-{depth}", grey % (1 << depth), depth, GREY)
        put(f"palette-{depth}", grey % (1 << depth), depth, PALETTE, palette=[[i, 255 - i, i // 2] for i in range(1 << depth)])
    put("grey-16", deep(grey), 16, GREY)
    put("rgb-8", rgb, 8, RGB)
    put("rgb-16", deep(rgb), 16, RGB)

    # Alpha channels.
    grey_alpha = np.dstack([grey, alpha])
    put("grey-alpha-8", grey_alpha, 8, GREY_ALPHA)
    put("grey-alpha-16", deep(grey_alpha), 16, GREY_ALPHA)
    put("rgba-8", colour, 8, RGBA)
    put("rgba-16", deep(colour), 16, RGBA)
    put("rgba-8-many-idat", colour, 8, RGBA, idat_size=7)
    put("rgba-8-stored", colour[:24, :30], 8, RGBA, level=0)
    ancillary = (
        chunk(b"gAMA", struct.pack(">I", 45455))
        + chunk(b"pHYs", struct.pack(">IIB", 2835, 2835, 1))
        + chunk(b"tEXt", b"Comment\0" + b"nothing to see " * 40)
        + chunk(b"abCd", bytes(range(256)))
        + chunk(b"tIME", struct.pack(">HBBBBB", 2000, 1, 1, 0, 0, 0))
    )
    put("rgba-8-ancillary-chunks", colour, 8, RGBA, before=ancillary)

    # One transparent colour. At 16 bits, the pixels outside have it exactly, and those
    # inside share its high byte but not its low one.
    for depth in (1, 2, 4, 8):
        top = (1 << depth) - 1
        key = top // 2
        others = np.where(grey % (top + 1) == key, key + 1, grey % (top + 1))
        put(f"grey-{depth}-trns", np.where(inside, others, key), depth, GREY, trns=struct.pack(">H", key))
    put("grey-16-trns", np.where(inside, 0x4D00 + low % 0x80, 0x4D80), 16, GREY, trns=struct.pack(">H", 0x4D80))
    key = np.array([10, 200, 30])
    put("rgb-8-trns", np.where(inside[:, :, None], key + [0, 0, 1], key), 8, RGB, trns=struct.pack(">3H", *key))
    key = np.array([0x0A11, 0xC822, 0x1E33])
    put("rgb-16-trns", np.where(inside[:, :, None], key + [0, 1, 0], key), 16, RGB, trns=struct.pack(">3H", *key))

    # Palettes with alpha; the last entries are left to be opaque.
    for depth in (1, 2, 4, 8):
        count = 1 << depth
        index = np.minimum(alpha.astype(int) * count // 256, count - 1)
        values = bytes(i * 255 // (count - 1) for i in range(count - max(1, count // 8)))
        palette = [[i, 255 - i, i // 2] for i in range(count)]
        put(f"palette-{depth}-trns", index, depth, PALETTE, palette=palette, trns=values)
        if depth in (2, 8):
            put(f"interlaced-palette-{depth}-trns", index, depth, PALETTE, palette=palette, trns=values, interlaced=True)

    # Interlaced.
    put("interlaced-rgba-8", colour, 8, RGBA, interlaced=True)
    put("interlaced-rgba-16", deep(colour), 16, RGBA, interlaced=True)
    put("interlaced-grey-1", grey % 2, 1, GREY, interlaced=True)
    put("interlaced-1x1", painted(np.full((1, 1), 255)), 8, RGBA, interlaced=True)
    put("interlaced-3x2", painted(np.array([[255, 255, 0], [255, 255, 255]])), 8, RGBA, interlaced=True)
    small = [[0, 255, 255, 255, 0], [255] * 5, [255] * 5, [0, 255, 255, 255, 255], [0, 0, 255, 0, 0]]
    put("interlaced-5x5", painted(np.array(small)), 8, RGBA, interlaced=True)

    # 16-bit alpha about the thresholds: its high byte counts. Bars as long as they are
    # unlike, so that each way of getting it wrong gives an outline of its own.
    for name, values in (
        ("binary-threshold", (0x7F00, 0x7FFF, 0x8000, 0x80FF, 0x8100, 0x81FF, 0xFF00)),
        ("alpha-threshold", (0x0000, 0x00FF, 0x0900, 0x09FF, 0x0A00, 0x0AFF, 0x0BFF)),
    ):
        bars = np.zeros((36, 58), int)
        for i, value in enumerate(values):
            bars[2 + 2 * i : 34 - i * i // 3, 1 + 8 * i : 9 + 8 * i] = value
        put(f"rgba-16-about-{name}", np.dstack([bars * 0 + 0x1234] * 3 + [bars]), 16, RGBA)
        put(f"grey-alpha-16-about-{name}", np.dstack([bars * 0 + 0x1234, bars]), 16, GREY_ALPHA)

    # Animations: the first picture counts.
    first = Image.fromarray(colour)
    second = Image.fromarray(painted(np.ascontiguousarray(alpha[::-1, ::-1])))
    write("formats/apng.png", encoded(first, "PNG", save_all=True, append_images=[second]))
    write("formats/apng-separate-default.png", encoded(first, "PNG", save_all=True, append_images=[second, first], default_image=True))
    write("formats/webp-animated.webp", encoded(first, "WEBP", save_all=True, append_images=[second], lossless=True, duration=100))

    # Other formats.
    opaque = Image.fromarray(rgb)
    write("formats/webp-lossless-alpha.webp", encoded(first, "WEBP", lossless=True))
    write("formats/webp-lossless-opaque.webp", encoded(opaque, "WEBP", lossless=True))
    write("formats/webp-lossy-alpha.webp", encoded(first, "WEBP", quality=60))
    write("formats/webp-lossy-alpha-quantised.webp", encoded(first, "WEBP", quality=60, alpha_quality=30))
    write("formats/webp-lossy-opaque.webp", encoded(opaque, "WEBP", quality=60))
    write("formats/webp-animated-first-frame-inset.webp", webp_inset(80, 64, 12, 6, first))
    write("formats/jpeg-baseline.jpg", encoded(opaque, "JPEG", quality=60))
    write("formats/jpeg-progressive.jpg", encoded(opaque, "JPEG", quality=60, progressive=True))
    write("formats/jpeg-grey.jpg", encoded(opaque.convert("L"), "JPEG", quality=60))
    write("formats/jpeg-cmyk.jpg", encoded(opaque.convert("CMYK"), "JPEG", quality=60))
    exif = Image.Exif()
    exif[0x0112] = 6  # says: turn by a quarter; nobody does
    write("formats/jpeg-exif-orientation.jpg", encoded(opaque, "JPEG", quality=60, exif=exif))

    # The content counts, not the name.
    write("formats/png-inside.jpg", png(colour, 8, RGBA))
    write("formats/webp-inside.png", encoded(first, "WEBP", lossless=True))
    write("formats/jpeg-inside.webp", encoded(opaque, "JPEG", quality=60))


def webp_inset(width, height, x, y, picture):
    """An animated WebP whose first frame does not fill it, on an opaque background colour."""
    still = encoded(picture, "WEBP", lossless=True)[12:]  # one VP8L chunk
    three = lambda *values: b"".join(struct.pack("<I", v)[:3] for v in values)

    def riff(kind, body):
        return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    frame = three(x // 2, y // 2, picture.width - 1, picture.height - 1, 100) + b"\2" + still
    body = (
        riff(b"VP8X", b"\x12\0\0\0" + three(width - 1, height - 1))
        + riff(b"ANIM", b"\x20\x40\x60\xff" + struct.pack("<H", 0))
        + riff(b"ANMF", frame)
        + riff(b"ANMF", frame)
    )
    return riff(b"RIFF", b"WEBP" + body)


# -------------------------------------------------------------------- shapes

# Scribbles whose simplified outline crosses or touches itself in many of the parameter sets.
TANGLES = (34, 55, 261, 397, 406, 447, 591, 688, 794, 873)


def shapes():
    def put(name, alpha):
        write(f"shapes/{name}.png", encoded(Image.fromarray(painted(alpha.astype(np.uint8))), "PNG", optimize=True))

    # As small and as thin as can be.
    put("pixel-1x1", np.full((1, 1), 255))
    put("transparent-1x1", np.zeros((1, 1)))
    put("single-pixel", rectangles(9, 7, (4, 3, 1, 1)))
    put("two-pixels", rectangles(9, 7, (4, 3, 2, 1)))
    put("three-pixels", rectangles(9, 7, (4, 3, 2, 1), (4, 4, 1, 1)))
    put("full-2x2", np.full((2, 2), 255))
    put("full-4x4", np.full((4, 4), 255))
    put("line-horizontal", rectangles(40, 9, (3, 4, 33, 1)))
    put("line-vertical", rectangles(9, 40, (4, 3, 1, 33)))
    put("line-diagonal", hard(40, 40, lambda d: d.line([3, 3, 36, 36], fill=255)))
    put("line-slanted", hard(60, 24, lambda d: d.line([2, 20, 57, 3], fill=255)))
    put("image-1x40", rectangles(1, 40, (0, 5, 1, 28)))
    put("image-40x1", rectangles(40, 1, (5, 0, 28, 1)))
    put("image-4096x1", rectangles(4096, 1, (17, 0, 4000, 1)))
    put("image-4096x3", rectangles(4096, 3, (17, 0, 4000, 3)))
    put("image-2x4096", rectangles(2, 4096, (0, 50, 2, 4040)))

    # Simplification leaves fewer than three points.
    put("sliver-60x2", rectangles(70, 12, (4, 5, 60, 2)))
    put("sliver-diagonal", hard(70, 70, lambda d: d.line([5, 5, 62, 60], fill=255, width=2)))
    put("sliver-tapering", hard(120, 20, lambda d: d.polygon([(2, 10), (117, 8), (117, 11)], fill=255)))

    # The frame and the border.
    put("full-frame", np.full((30, 50), 255))
    put("touches-every-border", polygon(50, 40, [(0.5, -0.1), (1.1, 0.45), (0.6, 1.1), (-0.1, 0.6)]))
    put("half-frame", rectangles(50, 40, (0, 0, 25, 40)))
    put("corners-only", rectangles(40, 30, (0, 0, 9, 8), (31, 0, 9, 8), (0, 22, 9, 8), (29, 21, 11, 9)))
    y, x = np.mgrid[:33, :45]
    put("gradient-to-the-border", np.clip(x * 6 + y * 2 - 30, 0, 255))
    put("gradient-radial", np.clip(300 - 14 * np.hypot(x - 20, y - 14), 0, 255))

    # Smaller than the larger blur kernels.
    rng = np.random.default_rng(7)
    for w, h in ((2, 2), (3, 9), (5, 4), (9, 1), (1, 7), (12, 10)):
        put(f"kernel-exceeds-{w}x{h}", rng.integers(0, 2, (h, w)) * 155 + 100)

    # Which one is the main contour.
    put("two-equal-islands", rectangles(60, 30, (4, 6, 18, 20), (34, 3, 18, 20)))
    put("equal-islands-on-one-row", rectangles(60, 30, (34, 6, 18, 20), (4, 6, 18, 20)))
    put("equal-area-unlike-shapes", rectangles(70, 40, (3, 2, 13, 11), (22, 1, 11, 13), (40, 4, 21, 7), (5, 20, 31, 5)))
    put("many-islands", rectangles(96, 72, *((x, y, 3 + (x * y) % 7, 3 + (x + y) % 6) for x in range(2, 88, 11) for y in range(2, 64, 10))))
    put("donut", hard(60, 60, lambda d: (d.ellipse([4, 4, 55, 55], fill=255), d.ellipse([18, 16, 42, 44], fill=0))))
    put("donut-with-many-holes", rectangles(70, 50, (3, 3, 64, 44)) * (rectangles(70, 50, *((x, y, 5, 4) for x in range(8, 60, 9) for y in range(7, 42, 8))) == 0))
    put("island-inside-hole", rectangles(70, 60, (5, 4, 50, 50)) * (rectangles(70, 60, (10, 9, 40, 40)) == 0) + rectangles(70, 60, (14, 13, 32, 32)))
    put("island-inside-open-bay", rectangles(70, 60, (5, 4, 50, 50)) * (rectangles(70, 60, (8, 7, 44, 44), (28, 50, 2, 5)) == 0) + rectangles(70, 60, (12, 11, 36, 36)))
    put("squares-touching-at-a-corner", rectangles(40, 40, (4, 4, 15, 15), (19, 19, 15, 15)))
    put("blocks-joined-by-a-pixel-wide-bridge", rectangles(70, 30, (3, 4, 22, 21), (25, 14, 18, 1), (43, 3, 20, 23)))
    put("hair-thin-tail", rectangles(80, 40, (4, 8, 26, 24), (30, 12, 40, 1), (69, 12, 1, 20), (12, 32, 1, 6)))

    # Much contour.
    put("spiral", hard(90, 90, draw_spiral))
    put("checkerboard-1", (np.add(*np.mgrid[:40, :48]) % 2) * 255)
    put("checkerboard-3", (np.add(*(np.mgrid[:45, :51] // 3)) % 2) * 255)
    put("stripes", ((np.mgrid[:40, :48][1] % 3) == 0) * 255)
    put("noise-22-percent", (np.random.default_rng(22).random((80, 96)) < 0.22) * 255)
    put("noise-50-percent", (np.random.default_rng(50).random((80, 96)) < 0.50) * 255)
    put("noise-of-all-alphas", np.random.default_rng(99).integers(0, 256, (48, 64)))
    put("comb", rectangles(84, 40, (2, 4, 79, 7), *((x, 11, 2, 24) for x in range(2, 80, 7))))
    put("staircase", hard(60, 60, lambda d: [d.rectangle([0, 3 * i, 3 * i + 2, 3 * i + 2], fill=255) for i in range(19)]))

    # Sprite-like.
    points = [(0.5 + r * math.sin(a), 0.5 - r * math.cos(a)) for i in range(18) for a, r in [(i * math.pi / 9, 0.48 if i % 2 == 0 else 0.09)]]
    put("star-with-thin-spikes", polygon(120, 110, points))
    gear = [(0.5 + r * math.sin(a), 0.5 - r * math.cos(a)) for i in range(48) for a, r in [(i * math.pi / 24, 0.47 if i % 4 < 2 else 0.38)]]
    put("gear", polygon(128, 128, gear))
    put("disc", polygon(100, 100, [(0.5 + 0.46 * math.sin(i * math.pi / 90), 0.5 + 0.46 * math.cos(i * math.pi / 90)) for i in range(180)]))
    put("figure-large", polygon(240, 190, FIGURE))
    put("figure-soft", soft(polygon(120, 96, FIGURE), 5))
    put("blob-soft", soft(hard(90, 70, lambda d: d.ellipse([20, 16, 68, 52], fill=255)), 9))
    put("blob-soft-at-the-border", soft(hard(70, 50, lambda d: (d.ellipse([-12, 8, 30, 60], fill=255), d.rectangle([40, -5, 75, 18], fill=255))), 4))
    put("glow-around-a-core", np.maximum(soft(rectangles(80, 60, (14, 12, 52, 36), value=120), 6), rectangles(80, 60, (30, 22, 21, 15))))

    # About the thresholds: bars of alpha 127, 128, 129 (binary_threshold) and 8 to 12 (alpha_threshold).
    bars = lambda *values: np.hstack([rectangles(10, 40, (0, 2 + 2 * i, 10, 30 - i), value=v) for i, v in enumerate(values)])
    put("alpha-127-128-129", bars(127, 128, 129, 127, 129))
    put("alpha-8-to-12", bars(8, 9, 10, 11, 12))
    put("alpha-1-and-254", bars(1, 2, 254, 255, 1))

    # About min_contour_area: areas of 300, 4 and 300.5 between the pixels' centres.
    put("area-300", rectangles(30, 24, (4, 4, 21, 16)))
    put("area-4", rectangles(12, 12, (4, 4, 3, 3)))
    notched = rectangles(30, 24, (4, 4, 21, 16), (25, 9, 1, 1))
    put("area-301", notched)
    notched[19, 24] = 0
    put("area-300-and-a-half", notched)
    put("empty", np.zeros((20, 30)))
    put("empty-below-alpha-threshold", rectangles(30, 20, (3, 3, 20, 12), value=9))

    for seed in TANGLES:
        put(f"tangle-{seed}", scribble(seed))


def draw_spiral(d):
    at = lambda t: (45 + 0.27 * t * math.cos(t / 3.1), 45 + 0.27 * t * math.sin(t / 3.1))
    d.line([at(t / 4) for t in range(620)], fill=255, width=2)


# ------------------------------------------------------------------- invalid


def invalid():
    alpha = polygon(61, 47, FIGURE)
    colour = painted(alpha)
    whole = png(colour, 8, RGBA)
    idat = whole.index(b"IDAT") - 4
    raw = filtered(colour.astype(int), 8)

    def damaged(data, at):
        return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]

    def put(name, data):
        write(f"invalid/{name}", data)

    put("empty-file.png", b"")
    put("text.png", b"This is not a picture.\n")
    put("svg.png", b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><circle cx="4" cy="4" r="3"/></svg>\n')
    put("random-bytes.png", np.random.default_rng(3).bytes(600))
    put("png-signature-only.png", SIGNATURE)
    put("png-cut-in-ihdr.png", whole[:20])
    put("png-cut-after-ihdr.png", whole[:33])
    put("png-cut-in-idat.png", whole[: idat + (len(whole) - idat) // 2])
    put("png-cut-before-iend.png", whole[:-12])
    put("png-bad-crc-in-ihdr.png", damaged(whole, 30))
    put("png-bad-crc-in-idat.png", damaged(whole, len(whole) - 13))
    parts = png(colour, 8, RGBA, idat_size=500)
    put("png-bad-crc-in-first-of-many-idat.png", damaged(parts, idat + 8 + 500))
    put("png-no-idat.png", whole[:33] + IEND)
    put("png-idat-of-no-bytes.png", whole[:33] + chunk(b"IDAT", b"") + IEND)
    stream = bytearray(zlib.compress(raw, 9))
    stream[len(stream) // 3 : len(stream) // 3 + 40] = bytes(range(200, 240))
    put("png-corrupt-zlib-stream.png", whole[:33] + chunk(b"IDAT", bytes(stream)) + IEND)
    put("png-not-zlib.png", whole[:33] + chunk(b"IDAT", b"no zlib stream at all") + IEND)
    put("png-too-few-rows.png", whole[:33] + chunk(b"IDAT", zlib.compress(raw[: len(raw) // 2], 9)) + IEND)
    put("png-unknown-row-filter.png", whole[:33] + chunk(b"IDAT", zlib.compress(b"\x09" + raw[1:], 9)) + IEND)
    put("png-zero-width.png", SIGNATURE + ihdr(0, 47, 8, RGBA) + whole[33:])
    put("png-zero-height.png", SIGNATURE + ihdr(61, 0, 8, RGBA) + whole[33:])
    put("png-colour-type-5.png", SIGNATURE + ihdr(61, 47, 8, 5) + whole[33:])
    put("png-bit-depth-3.png", SIGNATURE + ihdr(61, 47, 3, RGBA) + whole[33:])
    put("png-palette-missing.png", SIGNATURE + ihdr(61, 47, 8, PALETTE) + whole[33:])
    put("png-says-30000x30000.png", SIGNATURE + ihdr(30000, 30000, 8, RGBA) + whole[33:])
    put("png-says-4096x4096.png", SIGNATURE + ihdr(4096, 4096, 16, RGBA) + whole[33:])
    wide = rectangles(4097, 1, (9, 0, 4080, 1))
    put("png-4097x1.png", png(painted(wide), 8, RGBA))
    put("png-1x4097.png", png(painted(wide.T), 8, RGBA))

    picture = Image.fromarray(colour)
    opaque = picture.convert("RGB")
    lossless, lossy = encoded(picture, "WEBP", lossless=True), encoded(picture, "WEBP", quality=60)
    put("webp-cut-in-header.webp", lossless[:14])
    put("webp-lossless-cut.webp", lossless[: len(lossless) // 2])
    put("webp-lossy-alpha-cut.webp", lossy[: len(lossy) // 3])
    put("webp-4097x1.webp", encoded(Image.fromarray(painted(wide)), "WEBP", lossless=True))
    jpeg = encoded(opaque, "JPEG", quality=60)
    frame = jpeg.index(b"\xff\xc0")
    put("jpeg-marker-only.jpg", jpeg[:2])
    put("jpeg-cut-in-first-segment.jpg", jpeg[:11])
    put("jpeg-cut-before-frame-header.jpg", jpeg[:frame])
    put("jpeg-cut-in-frame-header.jpg", jpeg[: frame + 7])
    put("jpeg-cut-after-frame-header.jpg", jpeg[: frame + 19])
    put("jpeg-cut-in-scan.jpg", jpeg[: len(jpeg) * 3 // 4])
    put("jpeg-zero-width.jpg", jpeg[: frame + 7] + b"\0\0" + jpeg[frame + 9 :])
    put("jpeg-4097x1.jpg", encoded(Image.new("RGB", (4097, 1)), "JPEG"))
    put("gif.png", encoded(opaque.quantize(8), "GIF"))
    put("bmp.png", encoded(opaque.crop((0, 0, 9, 7)), "BMP"))
    put("tiff.png", encoded(opaque.crop((0, 0, 9, 7)), "TIFF"))


if __name__ == "__main__":
    for folder in ("formats", "shapes", "invalid"):
        shutil.rmtree(IMAGES / folder, ignore_errors=True)
    formats()
    shapes()
    invalid()
    files = [path for path in IMAGES.rglob("*") if path.is_file()]
    print(f"{len(files)} images, {sum(path.stat().st_size for path in files)} bytes")
