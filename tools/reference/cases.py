"""Which image is run with which parameters, and the file of expected results."""

import json
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "crates/spinelift-mesh/tests/images"
SAMPLES = ROOT / "assets/samples"
GOLDENS = ROOT / "crates/spinelift-mesh/tests/goldens/reference.json"

# What is not named has its default.
SETS = {
    "default": {},
    "fine": {"detail_factor": 0.05, "alpha_threshold": 0},
    "coarse": {"detail_factor": 0.001, "alpha_threshold": 0},
    "blur": {"blur_kernel_size": 7, "binary_threshold": 100, "min_contour_area": 50.0, "alpha_threshold": 0},
    "evenblur": {"blur_kernel_size": 4, "binary_threshold": 60, "detail_factor": 0.03, "alpha_threshold": 0},
    "concave": {"concave_factor": 60.0, "detail_factor": 0.02},
    "faint": {"binary_threshold": 1, "blur_kernel_size": 3, "min_contour_area": 1.0, "detail_factor": 0.04, "alpha_threshold": 0},
    "dense": {"internal_vertex_density": 20, "detail_factor": 0.02},
    "densest": {"internal_vertex_density": 100, "density_scaling_factor": 100.0, "min_triangle_area": 4.0, "detail_factor": 0.03},
    # alpha_threshold alive
    "alpha128blur5": {"alpha_threshold": 128, "blur_kernel_size": 5, "detail_factor": 0.03},
    "alpha200": {"alpha_threshold": 200, "binary_threshold": 60, "detail_factor": 0.04},
    "alpha255blur3": {"alpha_threshold": 255, "blur_kernel_size": 3, "binary_threshold": 90},
    "alpha10faint": {"alpha_threshold": 10, "binary_threshold": 1, "detail_factor": 0.04, "min_contour_area": 1.0},
    "alpha10faintblur": {"alpha_threshold": 10, "binary_threshold": 1, "blur_kernel_size": 3, "detail_factor": 0.04, "min_contour_area": 1.0},
    # the ends of the ranges
    "threshold0": {"alpha_threshold": 0, "binary_threshold": 0, "min_contour_area": 1.0},
    "threshold127": {"alpha_threshold": 0, "binary_threshold": 127},
    "threshold254": {"alpha_threshold": 255, "binary_threshold": 254},
    "threshold255": {"binary_threshold": 255},
    "threshold254blur": {"binary_threshold": 254, "blur_kernel_size": 5},
    "concave100": {"concave_factor": 100.0, "detail_factor": 0.001, "min_contour_area": 1.0},
    "concave5": {"concave_factor": 5.0, "detail_factor": 0.05},
    "leastarea": {"min_contour_area": 1.0, "detail_factor": 0.05},
    "mosttriangles": {"internal_vertex_density": 100, "density_scaling_factor": 10000.0, "min_triangle_area": 0.1},
    "onepoint": {"internal_vertex_density": 1, "density_scaling_factor": 100.0},
    # min_contour_area at an image's own area and about it
    "area4": {"min_contour_area": 4.0},
    "area4above": {"min_contour_area": 4.01},
    "area300": {"min_contour_area": 300.0},
    "area300above": {"min_contour_area": 300.01},
    "area300half": {"min_contour_area": 300.5},
    "area301": {"min_contour_area": 301.0},
}
# Every width of the blur, at two thresholds.
for k in range(1, 22):
    SETS[f"k{k}"] = {"blur_kernel_size": k, "min_contour_area": 1.0, "detail_factor": 0.05}
    SETS[f"k{k}low"] = {"blur_kernel_size": k, "binary_threshold": 40, "alpha_threshold": 0, "min_contour_area": 1.0, "detail_factor": 0.05}

USUAL = ["default", "fine", "coarse", "blur", "evenblur", "concave", "faint", "dense", "densest", "alpha128blur5", "leastarea"]
THRESHOLDS = ["alpha200", "alpha255blur3", "alpha10faint", "alpha10faintblur", "threshold0", "threshold127", "threshold254", "threshold255", "threshold254blur"]
KERNELS = [f"k{k}{low}" for k in range(1, 22) for low in ("", "low")]


def sets_for(image):
    """The names of the parameter sets for an image."""
    folder, name = image.split("/")
    if folder == "samples":
        return USUAL + ["alpha200", "concave5", "concave100"]
    if folder == "formats":
        few = ["default", "faint", "alpha128blur5"]
        if "about" in name or "16" in name or "lossy-alpha" in name:
            return few + ["fine", *THRESHOLDS]
        return few
    if name.startswith("kernel-exceeds"):
        return ["leastarea", *KERNELS]
    if name.startswith(("blob-soft-at-the-border", "gradient-to-the-border")):
        return USUAL + THRESHOLDS + KERNELS
    if name.startswith(("alpha-", "blob-soft", "figure-soft", "glow", "gradient", "noise-of-all", "empty-below")):
        return USUAL + THRESHOLDS
    if name.startswith("area-"):
        return ["default"] + [s for s in SETS if s.startswith("area")]
    if name.startswith("tangle"):
        return [s for s in USUAL if s not in ("dense", "densest")] + ["concave5"]
    if name.startswith(("image-", "full-", "pixel", "single", "two-pixels", "three", "line", "sliver")):
        return [s for s in USUAL if s not in ("dense", "alpha128blur5")] + ["concave100", "threshold255"]
    if name.startswith(("star", "figure-large")):
        return USUAL + ["concave5", "concave100", "mosttriangles", "onepoint"]
    return USUAL


def images():
    for folder in ("formats", "shapes"):
        for path in sorted((IMAGES / folder).iterdir()):
            yield f"{folder}/{path.name}", path
    for name in ("crawfish.png", "teddy-bear.png"):
        yield f"samples/{name}", SAMPLES / name


def write(run, triangulate):
    lines = []
    for image, path in images():
        seen = set()
        for name in sets_for(image):
            result = run(path, SETS[name], triangulate)
            # Crossing outlines give no mesh to compare, and not the same one each time.
            if result.get("outline_is_simple") is False:
                outline_only = list(result)[: list(result).index("outline_is_simple") + 1]
                result = {key: result[key] for key in outline_only}
            # A rectangle or an error seen before on this image tells nothing new, but for
            # the sets that are about a threshold.
            same = json.dumps(result)
            if same in seen and image.startswith("formats/") and "about" not in image:
                continue
            seen.add(same)
            lines.append(json.dumps({"image": image, "params": name, "parameters": SETS[name]} | result, separators=(",", ":")))
    packages = ("opencv-python-headless", "numpy", "pillow", "triangle")
    generator = json.dumps({package: version(package) for package in packages})
    GOLDENS.parent.mkdir(parents=True, exist_ok=True)
    GOLDENS.write_text('{"generator": ' + generator + ', "cases": [\n' + ",\n".join(lines) + "\n]}\n")
    print(f"{len(lines)} cases, {GOLDENS.stat().st_size} bytes")
