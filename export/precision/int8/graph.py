"""A graph with its products in int8: in place of the float32 ones, or beside them behind a switch."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from export.precision.int8.nodes import NodeWriter, Product, Rounded

SWITCHES = "int8_switches"


class Int8Graph:
    """A float32 graph and the int8 form of its products."""

    def __init__(self, model: Any, folder: Path, products: Sequence[Product], rounded: Mapping[str, Rounded]) -> None:
        self.model = model
        self.folder = folder
        self.products = products
        self.rounded = rounded

    def rewrite(self, kept: Collection[str]) -> None:
        """Replace the products but for those whose outputs are named, in place."""
        writer = NodeWriter(self.model, self.folder)
        chosen = {product.output: product for product in self.products if product.output not in kept}
        for node in list(self.model.graph.node):
            product = chosen.get(node.output[0])
            if product is None:
                writer.nodes.append(node)
            else:
                writer.multiply(product, self.rounded[product.output], product.output, fold_bias=True)
        writer.finish()

    def with_switches(self) -> Any:
        """A copy in which a further input, BOOL `[products]`, tells of each product whether int8 gives its output."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        writer = NodeWriter(model, self.folder)
        places = {product.output: place for place, product in enumerate(self.products)}
        for node in list(model.graph.node):
            place = places.get(node.output[0])
            writer.nodes.append(node)
            if place is None:
                continue
            product, output = self.products[place], self.products[place].output
            node.output[0] = f"{output}/float32"
            writer.multiply(product, self.rounded[output], f"{output}/int8", fold_bias=False)
            index = writer.constant(f"{output}/place", np.asarray(place))
            switch = writer.add("Gather", [SWITCHES, index], f"{output}/switch")
            writer.add("Where", [switch, f"{output}/int8", f"{output}/float32"], output)
        writer.finish()
        shape = [len(self.products)]
        model.graph.input.append(helper.make_tensor_value_info(SWITCHES, TensorProto.BOOL, shape))
        return model
