"""Times of the reference's libraries, for the benchmark beside this file.

Reads one question as JSON from standard input, answers with seconds by name. One thread.
"""

import io
import json
import pathlib
import sys
import time

import cv2
import numpy as np
import PIL.Image
import triangle

ROUNDS = 5
cv2.setNumThreads(1)


def least(work, rounds=ROUNDS):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def decode_opencv(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def decode_pillow(data):
    return np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGBA"))


def sprites(question):
    files = [pathlib.Path(path).read_bytes() for path in question["paths"]]
    times = {
        "decode_opencv": least(lambda: [decode_opencv(file) for file in files]),
        "decode_pillow": least(lambda: [decode_pillow(file) for file in files]),
    }
    for name, density in (("all_default", 0), ("all_density", 15)):
        times[name] = least(lambda: [whole(file, density) for file in files], 2)
    return times


def whole(data, density):
    """The default pipeline, in one process: no protection against outlines that crash Triangle."""
    image = decode_pillow(data)
    height, width = image.shape[:2]
    binary = np.where(image[:, :, 3] > 128, 255, 0).astype(np.uint8)
    contours, _ = cv2.findContours(binary, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return None
    contour = max(contours, key=cv2.contourArea)
    share = 0.002 + (1 - ((0.01 - 0.001) / 0.049) ** 0.5) * 0.028
    outline = cv2.approxPolyDP(contour, max(share * cv2.arcLength(contour, True), 0.1), True)[:, 0]
    if len(outline) < 3:
        return None
    switches = "p" if density == 0 else f"pa{max(1.0, width * height / (density * 1000))}"
    return triangulate(outline.tolist(), switches)


def triangulate(ring, switches):
    segments = [(i, (i + 1) % len(ring)) for i in range(len(ring))]
    return triangle.triangulate({"vertices": ring, "segments": segments}, switches)


def large_image(question):
    data = pathlib.Path(question["path"]).read_bytes()
    alpha = np.ascontiguousarray(decode_pillow(data)[:, :, 3])

    def contours():
        _, binary = cv2.threshold(alpha, 128, 255, cv2.THRESH_BINARY)
        return cv2.findContours(binary, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]

    largest = max(contours(), key=cv2.contourArea)
    epsilon = 0.002 * cv2.arcLength(largest, True)
    return {
        "decode_opencv": least(lambda: decode_opencv(data)),
        "decode_pillow": least(lambda: decode_pillow(data)),
        "contour": least(contours, 2),
        "simplify": least(lambda: cv2.approxPolyDP(largest, epsilon, True), 2),
        "blur_5": least(lambda: cv2.threshold(cv2.blur(alpha, (5, 5)), 128, 255, cv2.THRESH_BINARY)),
        "blur_21": least(lambda: cv2.threshold(cv2.blur(alpha, (21, 21)), 128, 255, cv2.THRESH_BINARY)),
    }


def polygons(question):
    rings, count = question["polygons"], len(question["polygons"])
    area = question["max_area"]
    times = {"triangulate": least(lambda: [triangulate(ring, "p") for ring in rings]) / count}
    if len(rings[0]) <= 40:
        times["refine"] = least(lambda: [triangulate(ring, f"pa{area}") for ring in rings], 2) / count
    return times


question = json.load(sys.stdin)
print(json.dumps(globals()[question["task"]](question)))
