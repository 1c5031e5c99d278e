"""An ONNX graph while it is put together: nodes, small constants, and weights that lie in another file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hearth.quantize.data_file import Place
from hearth.quantize.weights import Tensor, Weight

# What onnxruntime-genai's builder writes, so that what loads its models loads these.
_IR_VERSION, _OPSET, _CONTRIB_VERSION = 10, 21, 1
CONTRIB = "com.microsoft"
DATA_FILE = "model.onnx.data"
_PRODUCER = "hearth"


@dataclass
class Graph:
    """Grows from its inputs to its outputs; a node's name is that of its first output.

    Attributes:
        weights: what goes into the file of weights, in this order.
        seams: where the graph can be cut: the sum that runs through all layers and what is yet to be added to it, empty
            where nothing is; before each layer, after the last, and after the norm that follows.
        matrices: the modules whose matrices are among the weights; what a recipe may name.
    """

    weights: list[Weight] = field(default_factory=list)
    seams: list[tuple[str, str]] = field(default_factory=list)
    matrices: list[str] = field(default_factory=list)
    _nodes: list[onnx.NodeProto] = field(default_factory=list)
    _inputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    _outputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    _constants: dict[str, onnx.TensorProto] = field(default_factory=dict)
    _aliases: list[tuple[str, tuple[int, ...], Tensor]] = field(default_factory=list)

    def input(self, name: str, data_type: int, shape: Sequence[int | str]) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, data_type, shape))
        return name

    def output(self, name: str, data_type: int, shape: Sequence[int | str]) -> str:
        self._outputs.append(helper.make_tensor_value_info(name, data_type, shape))
        return name

    def node(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """A node with one output, of the standard operators; its output's name."""
        self.nodes(operator, inputs, [output], **attributes)
        return output

    def nodes(
        self,
        operator: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        domain: str = "",
        **attributes: Any,
    ) -> None:
        """A node; an empty name is an input or output that is left out."""
        self._nodes.append(
            helper.make_node(
                operator, list(inputs), list(outputs), name=outputs[0], domain=domain, **attributes
            )
        )

    def contrib(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """A node with one output, of ONNX Runtime's own operators."""
        self.nodes(operator, inputs, [output], CONTRIB, **attributes)
        return output

    def constant(self, name: str, values: np.ndarray) -> str:
        """A small tensor in the graph itself; the same name twice is the same tensor."""
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(values, name)
        return name

    def weight(self, weight: Weight) -> list[str]:
        """The names of the weight's tensors."""
        self.weights.append(weight)
        return [tensor.name for tensor in weight.tensors]

    def weight_once(self, weight: Weight) -> None:
        """Put the weight in unless it is there: embedding and head may be one."""
        if all(weight.tensors != known.tensors for known in self.weights):
            self.weights.append(weight)

    def alias(self, name: str, shape: tuple[int, ...], tensor: Tensor) -> str:
        """The same bytes of the file under another name, in another shape: mapped twice, they are in memory once."""
        self._aliases.append((name, shape, tensor))
        return name

    def model(self, places: Mapping[str, Place]) -> onnx.ModelProto:
        """The whole, with its weights at these places of the file beside it."""
        tensors = [tensor for weight in self.weights for tensor in weight.tensors]
        initializers = [_external(tensor.name, tensor.shape, tensor, places) for tensor in tensors]
        initializers += [_external(name, shape, tensor, places) for name, shape, tensor in self._aliases]
        return self._model([], initializers)

    def model_without_weights(self) -> onnx.ModelProto:
        """The whole, with its weights as inputs."""
        tensors = [tensor for weight in self.weights for tensor in weight.tensors]
        return self._model(
            [
                helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.shape)
                for tensor in tensors
            ],
            [],
        )

    def _model(
        self, more_inputs: Sequence[onnx.ValueInfoProto], initializers: Sequence[onnx.TensorProto]
    ) -> onnx.ModelProto:
        graph = helper.make_graph(
            self._nodes,
            "model",
            [*self._inputs, *more_inputs],
            self._outputs,
            initializer=[*self._constants.values(), *initializers],
        )
        return helper.make_model(
            graph,
            ir_version=_IR_VERSION,
            producer_name=_PRODUCER,
            opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid(CONTRIB, _CONTRIB_VERSION)],
        )


def _external(
    name: str, shape: tuple[int, ...], tensor: Tensor, places: Mapping[str, Place]
) -> onnx.TensorProto:
    place = places[tensor.name]
    proto = TensorProto(name=name, data_type=tensor.data_type, dims=shape)
    proto.data_location = TensorProto.EXTERNAL
    entries = {"location": DATA_FILE, "offset": place.offset, "length": place.length}
    for key, value in entries.items():
        proto.external_data.add(key=key, value=str(value))
    return proto
